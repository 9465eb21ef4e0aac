//! awk: the language of POSIX with what agents take from gawk, over bytes as mawk reads them.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod input;
mod lex;
mod pattern;
mod run;
mod syntax;
mod value;

use std::io::Write;

const USAGE: &str = "Usage: awk [Options] [Program] [file ...]\n\nProgram:\n    The -f option value is the name of a file containing program text.\n    If no -f option is given, a \"--\" ends option processing; the following\n    parameters are the program text.";
/// Status of a program that is wrong.
const WRONG: i32 = 2;

fn complain(text: &str) -> i32 {
    let _ = writeln!(std::io::stderr().lock(), "awk: {text}");
    WRONG
}

/// Runs awk with these arguments, the first being its name, and returns its exit status.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let mut args = argv.iter().skip(1).peekable();
    let (mut separator, mut program): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    let mut sets: Vec<(String, Vec<u8>)> = Vec::new();
    while let Some(arg) = args.next_if(|arg| arg.len() > 1 && arg[0] == b'-') {
        if arg == b"--" {
            break;
        }
        if let Some(long) = arg.strip_prefix(b"--") {
            match long {
                b"version" => {
                    let _ = writeln!(std::io::stdout().lock(), "awk 1.3.4 compatible");
                    return 0;
                }
                long if long.starts_with(b"field-separator=") => separator = Some(long[16..].to_vec()),
                _ => {}
            }
            continue;
        }
        let mut value =
            |arg: &[u8]| if arg.len() > 2 { Some(arg[2..].to_vec()) } else { args.next().cloned() };
        match arg[1] {
            b'F' => match value(arg) {
                Some(value) => {
                    separator = Some(if value == b"t" { b"\t".to_vec() } else { lex::unescape(&value) })
                }
                None => return complain("option requires an argument -- F"),
            },
            b'v' => {
                let Some(pair) = value(arg) else { return complain("option requires an argument -- v") };
                match split_set(&pair) {
                    Some(set) => sets.push(set),
                    None => {
                        return complain(&format!(
                            "improper assignment: -v {}",
                            String::from_utf8_lossy(&pair)
                        ));
                    }
                }
            }
            b'f' => {
                let Some(file) = value(arg) else { return complain("option requires an argument -- f") };
                let text = if file == b"-" {
                    let mut text = Vec::new();
                    std::io::Read::read_to_end(&mut std::io::stdin(), &mut text).map(|_| text)
                } else {
                    std::fs::read(guest_host::path_of(&file))
                };
                match text {
                    Ok(text) => {
                        let program = program.get_or_insert_with(Vec::new);
                        program.extend_from_slice(&text);
                        program.push(b'\n');
                    }
                    Err(_) => {
                        return complain(&format!(
                            "cannot open \"{}\" (No such file or directory)",
                            String::from_utf8_lossy(&file)
                        ));
                    }
                }
            }
            b'W' => {
                value(arg);
            }
            letter => {
                let _ = writeln!(std::io::stderr().lock(), "awk: not an option: -{}", letter as char);
                return WRONG;
            }
        }
    }
    let program = match program.or_else(|| args.next().cloned()) {
        Some(program) => program,
        None => {
            let _ = writeln!(std::io::stderr().lock(), "{USAGE}");
            return WRONG;
        }
    };
    let operands: Vec<Vec<u8>> = args.cloned().collect();
    let program = match syntax::parse(&program, run::KNOWN) {
        Ok(program) => program,
        Err(error) => return complain(&error),
    };
    run::run(&program, separator, sets, operands)
}

/// Takes `name=value` apart, the value's escapes replaced.
fn split_set(pair: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = pair.iter().position(|byte| *byte == b'=')?;
    let name = std::str::from_utf8(&pair[..end]).ok()?;
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then(|| (name.to_owned(), lex::unescape(&pair[end + 1..])))
}
