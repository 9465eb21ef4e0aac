//! The first door: one script in the current directory, nothing kept.
//!
//! `cargo run --example run -- 'ls | wc -l'`

fn main() -> Result<(), sbx::Error> {
    let script = std::env::args().nth(1).unwrap_or_else(|| "ls | wc -l".into());
    let seen = sbx::run(&sbx::Policy::preset("whitelist")?, &script)?;
    print!("{}", seen.stdout.text());
    eprint!("{}", seen.stderr.text());
    eprintln!(
        "{:?}, status {}, in {:?}, behind {}",
        seen.outcome,
        seen.exit_code,
        seen.wall,
        seen.enforced.join(" ")
    );
    Ok(())
}
