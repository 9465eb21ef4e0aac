//! `less`, `more` and `sync`: without a terminal a pager gives its files on, and there is no disk to wait for.

use crate::io::{read, reason, warn, write};

/// The files among the arguments; options and `+commands` are for a terminal.
fn files(argv: &[Vec<u8>]) -> Vec<&[u8]> {
    let is_file = |arg: &&[u8]| *arg == b"-" || !arg.starts_with(b"-") && !arg.starts_with(b"+");
    argv.iter().skip(1).map(Vec::as_slice).filter(is_file).collect()
}

/// Runs `less`.
pub fn less(argv: &[Vec<u8>]) -> i32 {
    let mut files = files(argv);
    if files.is_empty() {
        files.push(b"-");
    }
    for file in files {
        match read(file) {
            Ok(bytes) => write(&bytes),
            Err(error) => {
                write(format!("{}: {}\n", String::from_utf8_lossy(file), reason(&error)).as_bytes())
            }
        }
    }
    0
}

/// Runs `more`.
pub fn more(argv: &[Vec<u8>]) -> i32 {
    let mut files = files(argv);
    if files.is_empty() {
        files.push(b"-");
    }
    for file in files {
        match read(file) {
            Ok(bytes) if file == b"-" => write(&bytes),
            Ok(bytes) => {
                let rule = ":".repeat(14);
                let name = String::from_utf8_lossy(file);
                write(&[format!("{rule}\n{name}\n{rule}\n").as_bytes(), &bytes].concat());
            }
            Err(error) => {
                warn("more", format!("cannot open {}: {}", String::from_utf8_lossy(file), reason(&error)))
            }
        }
    }
    0
}

/// Runs `sync`.
pub fn sync(argv: &[Vec<u8>]) -> i32 {
    let mut status = 0;
    for file in files(argv) {
        if let Err(error) = std::fs::metadata(guest_host::path_of(file)) {
            warn("sync", format!("error opening {}: {}", crate::io::quoted(file), reason(&error)));
            status = 1;
        }
    }
    status
}
