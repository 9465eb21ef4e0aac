//! The third door: programs without a shell, with the names of `std::process::Command`.
//!
//! `cargo run --example command`

use std::time::Duration;

fn main() -> Result<(), sbx::Error> {
    let mut sandbox = sbx::Sandbox::open(&sbx::Policy::preset("whitelist")?, ".")?;
    let seen = sandbox.command("sort").arg("-u").stdin("b\na\nb\n").output()?;
    assert_eq!(seen.stdout.text(), "a\nb\n");
    let seen = sandbox.command("sleep").arg("60").time(Duration::from_millis(200)).output()?;
    println!("{:?} after {:?}: {:?}", seen.outcome, seen.wall, seen.limits_hit);
    Ok(())
}
