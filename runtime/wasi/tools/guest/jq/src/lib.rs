//! `jq`: its command line and output as jq 1.6 has them, over the interpreter of jaq.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod filter;
mod options;
mod write;

use filter::{Ended, Filter};
use options::{Input, Options};
use std::io::{BufWriter, Read, Write};

/// Status of input that is no JSON.
const BAD_INPUT: i32 = 4;
/// Status of a wrong use, or of input that cannot be opened.
const MISUSE: i32 = 2;
/// Status of a filter that does not compile.
const NOT_COMPILED: i32 = 3;
/// Status of a filter that ended in an error.
const FAILED: i32 = 5;
/// Status of `-e` when there was no output.
const NO_OUTPUT: i32 = 4;

/// Says something on stderr.
fn warn(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// Runs `jq` with these arguments, the first being its name, and returns its exit status.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let words: Vec<String> =
        argv.iter().skip(1).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let options = match Options::read(&words) {
        Ok(options) => options,
        Err(options::Stop::Says(text)) => {
            println!("{text}");
            return 0;
        }
        Err(options::Stop::Misuse(text)) => {
            warn(text);
            warn(
                "Use jq --help for help with command-line options,\nor see the jq manpage, or online docs  at https://stedolan.github.io/jq",
            );
            return MISUSE;
        }
    };
    let filter = match Filter::compile(&options) {
        Ok(filter) => filter,
        Err(errors) => {
            errors.iter().for_each(|error| warn(format!("jq: error: {error}")));
            let count = errors.len();
            warn(format!("jq: {count} compile error{}", if count == 1 { "" } else { "s" }));
            return NOT_COMPILED;
        }
    };
    let (text, unread) = input(&options);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut last = None;
    let shape = &options.shape;
    let status = filter.run(&options, &text, &mut |value| {
        last = Some(value.clone());
        // A reader that is gone ends the command quietly.
        if shape
            .write(&mut out, value)
            .and_then(|()| if options.unbuffered { out.flush() } else { Ok(()) })
            .is_err()
        {
            std::process::exit(FAILED);
        }
    });
    let _ = out.flush();
    let status = match status {
        Ended::Well => 0,
        Ended::NoInput => return if unread { MISUSE } else { 0 },
        Ended::Failed => FAILED,
        Ended::BadInput => BAD_INPUT,
        Ended::Halted(status) => return status,
    };
    match (status, options.exit_status) {
        (0, true) => match last {
            _ if unread => MISUSE,
            None => NO_OUTPUT,
            Some(value) => i32::from(matches!(value, jaq_json::Val::Null | jaq_json::Val::Bool(false))),
        },
        (0, false) if unread => MISUSE,
        (status, _) => status,
    }
}

/// Reads all input; true if a file could not be.
fn input(options: &Options) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let mut unread = false;
    if options.input == Input::None && options.files.is_empty() && !options.filter.contains("input") {
        return (text, false);
    }
    if options.files.is_empty() {
        let _ = std::io::stdin().lock().read_to_end(&mut text);
    }
    for file in &options.files {
        match std::fs::read(file) {
            Ok(bytes) => text.extend(bytes),
            Err(error) => {
                let reason = error.to_string();
                let reason = match error.kind() {
                    std::io::ErrorKind::NotFound => "No such file or directory",
                    _ => reason.split(" (os error").next().unwrap_or_default(),
                };
                warn(format!("jq: error: Could not open file {file}: {reason}"));
                unread = true;
            }
        }
    }
    (text, unread)
}
