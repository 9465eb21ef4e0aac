//! One module for all commands: argv[0] chooses.

mod coreutils;
mod diff;

use std::ffi::OsString;
use std::io::Write;

/// Status of a command that could not be started, as a shell reports it.
const CANNOT_START: i32 = 126;
/// Status of a name that is not here.
const NOT_FOUND: i32 = 127;

/// Commands to which `-` is stdin.
const STDIN: &[&str] = &[
    "comm", "cut", "expand", "fold", "head", "join", "nl", "od", "paste", "sort", "split", "tail",
    "unexpand", "wc",
];

fn main() {
    let mut argv: Vec<OsString> = std::env::args_os().collect();
    let name = argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    // Preview 1 has no working directory: the host says it in PWD.
    if let Some(dir) = std::env::var_os("PWD")
        && let Err(error) = std::env::set_current_dir(&dir)
    {
        eprintln!("{name}: {}: {error}", dir.to_string_lossy());
        std::process::exit(CANNOT_START);
    }
    let status = run(&name, &mut argv);
    let _ = std::io::stdout().flush();
    std::process::exit(status);
}

fn run(name: &str, argv: &mut Vec<OsString>) -> i32 {
    match name {
        "awk" | "mawk" | "gawk" => guest_awk::main(&words(argv)),
        "diff" => match guest_small::diff::main(&words(argv)) {
            Some(status) => status,
            None => diff::main(std::mem::take(argv)),
        },
        "cmp" => diff::cmp(std::mem::take(argv)),
        "git" => guest_git::main(words(argv)),
        "jq" => guest_jq::main(&words(argv)),
        "sed" => sed(argv),
        "grep" => uu("grep", grep::uumain, argv),
        "egrep" => {
            argv.insert(1, "-E".into());
            uu("grep", grep::uumain, argv)
        }
        "fgrep" => {
            argv.insert(1, "-F".into());
            uu("grep", grep::uumain, argv)
        }
        name if guest_small::command(name).is_some() => small(name, argv),
        _ => match coreutils::TABLE.binary_search_by(|(entry, _)| (*entry).cmp(name)) {
            Ok(at) => uu(if name == "[" { "test" } else { name }, coreutils::TABLE[at].1, argv),
            Err(_) => {
                eprintln!("{name}: applet not found");
                NOT_FOUND
            }
        },
    }
}

fn uu(texts: &str, main: coreutils::Main, argv: &mut Vec<OsString>) -> i32 {
    // These would look at the file's kind, and find a pipe strange.
    if STDIN.contains(&texts) {
        argv.iter_mut().skip(1).filter(|arg| *arg == "/dev/stdin").for_each(|arg| *arg = "-".into());
    }
    // Without its texts a command reports bare message keys.
    let _ = uucore::locale::setup_localization(texts);
    main(std::mem::take(argv).into_iter())
}

fn small(name: &str, argv: &[OsString]) -> i32 {
    guest_small::command(name).map_or(NOT_FOUND, |run| run(&words(argv)))
}

fn words(argv: &[OsString]) -> Vec<Vec<u8>> {
    argv.iter().map(|arg| guest_host::bytes_of(arg).to_vec()).collect()
}

fn sed(argv: &mut Vec<OsString>) -> i32 {
    /// Status of an input file that could not be read.
    const UNREAD: i32 = 2;
    let mut words = words(argv);
    let Some(unread) = guest_small::sed::readable(&mut words) else { return UNREAD };
    *argv = words.iter().map(|word| guest_host::path_of(word).as_os_str().to_owned()).collect();
    match uu("sed", sed::sed::uumain, argv) {
        0 if unread => UNREAD,
        status => status,
    }
}
