//! The second door: a shell on a checkout, as an agent framework uses it. The checkout itself is never written.
//!
//! `cargo run --example shell -- CHECKOUT`

fn main() -> Result<(), sbx::Error> {
    let checkout = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let mut shell = sbx::Shell::open(&sbx::Policy::preset("whitelist")?, checkout.as_str())?;
    for script in
        ["grep -rn TODO --include='*.md' . | wc -l", "echo 'seen by an agent' >> NOTES.md", "python3 -V"]
    {
        let seen = shell.run(script)?;
        println!("$ {script}\n{}{}", seen.stdout.text(), seen.stderr.text());
        for denied in &seen.denied {
            println!("{}: {}", denied.what, denied.hint);
        }
    }
    print!("{}", shell.changes()?.diff_text());
    Ok(())
}
