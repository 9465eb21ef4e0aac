//! Reading, writing and complaining, as the commands share it.

use std::fs::File;
use std::io::{self, Read, Write};

/// A name as the system's tools quote it in messages: `'name'`.
pub fn quoted(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}

/// The system's words for an error.
pub fn reason(error: &io::Error) -> String {
    use io::ErrorKind::{
        AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem,
    };
    match error.kind() {
        NotFound => "No such file or directory".into(),
        PermissionDenied => "Permission denied".into(),
        AlreadyExists => "File exists".into(),
        NotADirectory => "Not a directory".into(),
        IsADirectory => "Is a directory".into(),
        DirectoryNotEmpty => "Directory not empty".into(),
        ReadOnlyFilesystem => "Read-only file system".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// Says `name: text` on stderr.
pub fn warn(name: &str, text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{name}: {}", text.as_ref());
}

/// Reads a file whole; `-` is stdin.
pub fn read(path: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == b"-" {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        let file = guest_host::path_of(path);
        if file.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        File::open(file)?.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Writes to stdout; a reader that is gone ends the command quietly.
pub fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Runs over files, or stdin without any, and gives the worst status.
pub fn each(name: &str, files: &[&[u8]], mut with: impl FnMut(&[u8]) -> Vec<u8>) -> i32 {
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if files.is_empty() { stdin } else { files } {
        match read(file) {
            Ok(bytes) => write(&with(&bytes)),
            Err(error) => {
                warn(name, format!("{}: {}", String::from_utf8_lossy(file), reason(&error)));
                status = 1;
            }
        }
    }
    status
}

/// Options in letters: each with its value if it takes one; and what is no option.
pub struct Options<'a> {
    pub given: Vec<(String, Option<String>)>,
    pub rest: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads arguments. `valued` are the letters and long names that take a value, `known` those that take none, each with
    /// spaces between (`"n lines"`); an error is the option that is in neither.
    pub fn read(argv: &'a [Vec<u8>], known: &str, valued: &str) -> Result<Options<'a>, String> {
        let has = |names: &str, name: &str| names.split_whitespace().any(|known| known == name);
        let mut options = Options { given: Vec::new(), rest: Vec::new() };
        let mut args = argv.iter().skip(1);
        while let Some(arg) = args.next() {
            let text = String::from_utf8_lossy(arg).into_owned();
            if text == "--" {
                options.rest.extend(args.map(Vec::as_slice));
                break;
            }
            if let Some(long) = text.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                if has(valued, name) {
                    let value =
                        value.or_else(|| args.next().map(|arg| String::from_utf8_lossy(arg).into_owned()));
                    options.given.push((name.to_owned(), value));
                } else if has(known, name) {
                    options.given.push((name.to_owned(), value));
                } else {
                    return Err(format!("unrecognized option '{text}'"));
                }
            } else if text.len() > 1 && text.starts_with('-') {
                let letters: Vec<char> = text[1..].chars().collect();
                for (at, letter) in letters.iter().enumerate() {
                    let letter = letter.to_string();
                    if has(valued, &letter) {
                        let rest: String = letters[at + 1..].iter().collect();
                        let value = if rest.is_empty() {
                            args.next().map(|arg| String::from_utf8_lossy(arg).into_owned())
                        } else {
                            Some(rest)
                        };
                        if value.is_none() {
                            return Err(format!("option requires an argument -- '{letter}'"));
                        }
                        options.given.push((letter, value));
                        break;
                    }
                    if !has(known, &letter) {
                        return Err(format!("invalid option -- '{letter}'"));
                    }
                    options.given.push((letter, None));
                }
            } else {
                options.rest.push(arg);
            }
        }
        Ok(options)
    }

    pub fn has(&self, names: &[&str]) -> bool {
        self.given.iter().any(|(name, _)| names.contains(&name.as_str()))
    }

    pub fn value(&self, names: &[&str]) -> Option<&str> {
        self.given
            .iter()
            .rev()
            .find(|(name, _)| names.contains(&name.as_str()))
            .and_then(|(_, value)| value.as_deref())
    }
}

/// What an option that is not known is answered with.
pub fn misuse(name: &str, error: &str, status: i32) -> i32 {
    warn(name, error);
    let _ = writeln!(io::stderr().lock(), "Try '{name} --help' for more information.");
    status
}
