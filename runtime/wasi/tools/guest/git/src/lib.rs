//! git's everyday commands over a repository on disk, without network, hooks, pagers or other programs.
//!
//! Objects, packs, the index and references are read and written here; texts are compared with `imara-diff`. The output
//! follows git 2.39 byte for byte where a command is known; what is not known is refused, never guessed.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod args;
mod attributes;
mod binary;
mod command;
mod config;
mod date;
mod diff;
mod error;
mod glob;
mod ignore;
mod index;
mod linked;
mod merge;
mod object;
mod odb;
mod pack;
pub mod patch;
mod pathspec;
mod pattern;
mod refs;
mod rename;
mod repo;
mod rev;
mod show;
mod stream;
pub mod text;
mod words;
mod worktree;

use error::{Die, Result, die, fatal};
use std::io::Write;

/// What a command writes; given on in pieces.
#[derive(Default)]
pub struct Out {
    bytes: Vec<u8>,
}

impl Out {
    /// Adds a line.
    pub fn line(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(text.as_ref());
        self.bytes.push(b'\n');
    }

    /// Writes out what there is, once it is enough to be worth it.
    fn pass(&mut self) -> Result<()> {
        if self.bytes.len() > 1 << 16 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&self.bytes).and_then(|()| stdout.flush());
        self.bytes.clear();
        Ok(written?)
    }
}

/// Whether a shell pattern matches a name.
pub fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    glob::matches(pattern, name, false)
}

/// Compiles a basic regular expression, as `grep` and `ed` write it.
pub fn basic_pattern(text: &str) -> Option<regex::bytes::Regex> {
    pattern::compile(text, pattern::Form::Basic, false, false).ok()
}

/// The system's words for an error, without its number.
pub fn reason(error: &std::io::Error) -> String {
    error::reason(error)
}

/// Reads a date, as seconds since 1970.
pub fn read_date(text: &str) -> Option<i64> {
    date::read(text).map(|(time, _)| time)
}

/// Shows a time in one of git's forms, such as `format:%F`.
pub fn show_date(time: i64, form: &str) -> String {
    date::show(time, 0, form)
}

/// Says something on stderr.
fn warn(text: impl AsRef<[u8]>) {
    let mut line = text.as_ref().to_vec();
    line.push(b'\n');
    let _ = std::io::stderr().lock().write_all(&line);
}

/// Runs git with these arguments, the first being its name, and returns its exit status.
pub fn main(argv: Vec<Vec<u8>>) -> i32 {
    let mut out = Out::default();
    let result = run(argv, &mut out);
    let flushed = out.flush();
    match result.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status,
        Err(Die { status, text }) => {
            if !text.is_empty() {
                warn(text);
            }
            status
        }
    }
}

fn run(argv: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = argv.into_iter().skip(1).peekable();
    let mut extra: Vec<(String, String)> = Vec::new();
    while let Some(arg) = args.next_if(|arg| arg.starts_with(b"-")) {
        let text = String::from_utf8_lossy(&arg).into_owned();
        let mut value =
            |what: &str| args.next().ok_or_else(|| die(129, format!("no {what} given for {text}\n{USAGE}")));
        match text.as_str() {
            "-C" => {
                let dir = value("directory")?;
                if let Err(error) = std::env::set_current_dir(guest_host::path_of(&dir)) {
                    let dir = String::from_utf8_lossy(&dir).into_owned();
                    return Err(fatal(format!("cannot change to '{dir}': {}", error::reason(&error))));
                }
            }
            "-c" => {
                let pair = value("config")?;
                let pair = String::from_utf8_lossy(&pair).into_owned();
                let (key, value) = pair.split_once('=').unwrap_or((&pair, "true"));
                extra.push((key.to_owned(), value.to_owned()));
            }
            "--version" | "-v" => {
                out.line("git version 2.39.5");
                return Ok(0);
            }
            "--no-pager"
            | "-p"
            | "--paginate"
            | "-P"
            | "--no-optional-locks"
            | "--literal-pathspecs"
            | "--no-replace-objects"
            | "--no-advice"
            | "--no-lazy-fetch" => {}
            "--help" | "-h" => {
                out.line(USAGE);
                return Ok(0);
            }
            "--exec-path" => {
                out.line("/usr/lib/git-core");
                return Ok(0);
            }
            text if text.starts_with("--git-dir") || text.starts_with("--work-tree") => {
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (text.to_owned(), String::from_utf8_lossy(&value("directory")?).into_owned()),
                };
                extra.push((name, value));
            }
            _ => return Err(die(129, format!("unknown option: {text}\n{USAGE}"))),
        }
    }
    let Some(name) = args.next() else {
        out.line(USAGE);
        return Ok(1);
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    command::run(&name, args.collect(), extra, out)
}

const USAGE: &str = "usage: git [-v | --version] [-h | --help] [-C <path>] [-c <name>=<value>]
           [--exec-path[=<path>]] [--html-path] [--man-path] [--info-path]
           [-p | --paginate | -P | --no-pager] [--no-replace-objects] [--no-lazy-fetch]
           [--no-optional-locks] [--no-advice] [--bare] [--git-dir=<path>]
           [--work-tree=<path>] [--namespace=<name>] [--config-env=<name>=<envvar>]
           <command> [<args>]";
