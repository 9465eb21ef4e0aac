//! The same commands as a program, for tests against the real ones; its name chooses.

fn main() {
    let argv: Vec<Vec<u8>> = std::env::args_os().map(|arg| guest_host::bytes_of(&arg).to_vec()).collect();
    let name =
        argv.first().and_then(|name| name.rsplit(|byte| *byte == b'/').next()).unwrap_or_default().to_vec();
    if name == b"diff" {
        std::process::exit(guest_small::diff::main(&argv).unwrap_or(2));
    }
    let status = match guest_small::command(&String::from_utf8_lossy(&name)) {
        Some(run) => run(&argv),
        None => 127,
    };
    std::process::exit(status);
}
