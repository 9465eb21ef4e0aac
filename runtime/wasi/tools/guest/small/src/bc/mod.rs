//! `bc`: exact decimal arithmetic with variables, functions and control flow, as POSIX and GNU bc have them.

mod library;
mod number;
mod run;
mod syntax;

use crate::io::{Options, misuse, read, reason, warn};
use run::Machine;
use syntax::Reader;

/// Runs `bc`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "l mathlib q quiet s standard w warn i interactive";
    let options = match Options::read(argv, known, "") {
        Ok(options) => options,
        Err(error) => return misuse("bc", &error, 1),
    };
    let mut machine = Machine::new(options.has(&["l", "mathlib"]));
    let mut files = options.rest.clone();
    files.push(b"-");
    for file in files {
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                warn("File", format!("{} is unavailable. {}", String::from_utf8_lossy(file), reason(&error)));
                return 1;
            }
        };
        let name =
            if file == b"-" { "(standard_in)".into() } else { String::from_utf8_lossy(file).into_owned() };
        let mut reader = Reader::new(&text);
        while let Some(item) = reader.next() {
            let done = match item {
                Ok(item) => machine.item(item),
                Err(line) => {
                    machine.flush();
                    let _ = std::io::Write::write_all(
                        &mut std::io::stderr(),
                        format!("{name} {line}: syntax error\n").as_bytes(),
                    );
                    continue;
                }
            };
            if done {
                machine.flush();
                return 0;
            }
        }
        machine.flush();
    }
    0
}
