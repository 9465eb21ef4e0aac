//! The same command as a program, for tests against the real one.

fn main() {
    let argv: Vec<Vec<u8>> = std::env::args_os().map(|arg| guest_host::bytes_of(&arg).to_vec()).collect();
    std::process::exit(guest_jq::main(&argv));
}
