//! A bash that stays: variables and directory from script to script, a time-out that keeps it, typing, and files.
//!
//!     cargo run --example session [DIR]

use sbx::{LiveShell, Policy, Waited};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let mut shell = LiveShell::open(&Policy::preset("whitelist")?, dir, &[("GREETING", "hello")])?;
    shell.run("n=1; cd /tmp")?;
    print!("{}", shell.run("echo $GREETING $n from $PWD")?.stdout.text());

    let late = shell.run_for("sleep 60", Duration::from_millis(200))?;
    println!("{:?}; n is still {}", late.outcome, shell.run("echo $n")?.stdout.text().trim());

    let session = shell.session();
    session.start("read -r name; echo nice to meet you, $name")?;
    if let Waited::Running = session.wait(Duration::from_secs(5), Some(Duration::from_millis(200)))? {
        session.send("agent\n")?;
    }
    if let Waited::Ended(seen) = session.wait(Duration::from_secs(5), None)? {
        print!("{}", seen.stdout.text());
    }

    session.write_file("/tmp/notes", b"kept in the sandbox\n")?;
    print!("{}", String::from_utf8_lossy(&session.read_file("/tmp/notes", 1 << 20)?));
    Ok(())
}
