//! The same commands as a program, for tests against the real git.

fn main() {
    let argv = std::env::args_os().map(|arg| guest_host::bytes_of(&arg).to_vec()).collect();
    let status = guest_git::main(argv);
    std::process::exit(status);
}
