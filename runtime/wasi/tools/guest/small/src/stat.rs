//! `stat` and `file`.

use crate::chmod::letters;
use crate::io::{Options, misuse, quoted, read, reason, warn, write};
use guest_host::Stat;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "L dereference t terse f file-system", "c format printf") {
        Ok(options) => options,
        Err(error) => return misuse("stat", &error, 1),
    };
    if options.rest.is_empty() {
        return misuse("stat", "missing operand", 1);
    }
    let follow = options.has(&["L", "dereference"]);
    let mut status = 0;
    for file in &options.rest {
        let path = guest_host::path_of(file);
        let stat = match guest_host::stat(path, follow) {
            Ok(stat) => stat,
            Err(error) => {
                warn("stat", format!("cannot statx {}: {}", quoted(file), reason(&error)));
                status = 1;
                continue;
            }
        };
        let target =
            std::fs::read_link(path).ok().map(|target| guest_host::bytes_of(target.as_os_str()).to_vec());
        let one = One { name: file, stat: &stat, target };
        let text = match (options.value(&["printf"]), options.value(&["c", "format"])) {
            (Some(format), _) => one.format(format, true),
            (None, Some(format)) => one.format(format, false) + "\n",
            (None, None) if options.has(&["t", "terse"]) => {
                one.format("%n %s %b %f %u %g %D %i %h 0 0 %X %Y %Z 0 %o\n", true)
            }
            (None, None) => {
                let device = if stat.mode & 0o170000 == 0o020000 { "\tDevice type: 1,3" } else { "" };
                one.format("  File: %N\n", true)
                    + &one.format(&format!("  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\nDevice: 0,%d\tInode: %-11i Links: %h{device}\n"), true)
                    + &one.format("Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\nAccess: %x\nModify: %y\nChange: %z\n Birth: -\n", true)
            }
        };
        write(text.as_bytes());
    }
    status
}

struct One<'a> {
    name: &'a [u8],
    stat: &'a Stat,
    target: Option<Vec<u8>>,
}

impl One<'_> {
    fn kind(&self) -> &'static str {
        match self.stat.mode & 0o170000 {
            0o040000 => "directory",
            0o120000 => "symbolic link",
            0o020000 => "character special file",
            0o010000 => "fifo",
            _ if self.stat.size == 0 => "regular empty file",
            _ => "regular file",
        }
    }

    fn format(&self, format: &str, escapes: bool) -> String {
        let mut out = String::new();
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if escapes => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('0') => out.push('\0'),
                    Some(c) => out.push(c),
                    None => out.push('\\'),
                },
                '%' => {
                    let mut flags = String::new();
                    while let Some(flag) = chars.next_if(|c| "-+ #0123456789.".contains(*c)) {
                        flags.push(flag);
                    }
                    let Some(letter) = chars.next() else { break };
                    out += &pad(&self.field(letter), &flags);
                }
                c => out.push(c),
            }
        }
        out
    }

    fn field(&self, letter: char) -> String {
        let stat = self.stat;
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string();
        let user = |number: u32| {
            if number == 0 { "root".into() } else { std::env::var("USER").unwrap_or_else(|_| "user".into()) }
        };
        match letter {
            'n' => String::from_utf8_lossy(self.name).into_owned(),
            'N' => match &self.target {
                Some(target) => format!("{} -> {}", quoted(self.name), quoted(target)),
                None => quoted(self.name).trim_matches('\'').to_owned(),
            },
            's' => stat.size.to_string(),
            'b' => stat.blocks.to_string(),
            'B' => "512".into(),
            'o' => "4096".into(),
            'a' => format!("{:o}", stat.mode & 0o7777),
            'A' => {
                let first = match stat.mode & 0o170000 {
                    0o040000 => 'd',
                    0o120000 => 'l',
                    0o020000 => 'c',
                    0o010000 => 'p',
                    _ => '-',
                };
                format!("{first}{}", letters(stat.mode))
            }
            'f' => format!("{:x}", stat.mode),
            'F' => self.kind().into(),
            'u' => stat.user.to_string(),
            'g' => stat.group.to_string(),
            'U' => user(stat.user),
            'G' => user(stat.group),
            'i' => stat.inode.to_string(),
            'h' => stat.links.to_string(),
            'd' => stat.device.to_string(),
            'D' => format!("{:x}", stat.device),
            'm' => "/".into(),
            'x' => date(stat.accessed),
            'y' => date(stat.modified),
            'z' => date(stat.changed),
            'X' => seconds(stat.accessed),
            'Y' => seconds(stat.modified),
            'Z' => seconds(stat.changed),
            'w' => "-".into(),
            'W' => "0".into(),
            't' | 'T' => "0".into(),
            '%' => "%".into(),
            _ => "?".into(),
        }
    }
}

fn pad(text: &str, flags: &str) -> String {
    let left = flags.contains('-');
    let flags = flags.trim_start_matches(['-', '+', ' ', '#']);
    let zero = flags.starts_with('0');
    let width: usize = flags.split('.').next().unwrap_or_default().parse().unwrap_or(0);
    match (left, zero) {
        (true, _) => format!("{text:<width$}"),
        (_, true) => format!("{text:0>width$}"),
        _ => format!("{text:>width$}"),
    }
}

/// `2026-01-02 03:04:05.000000000 +0000`
pub fn date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = ((since.as_secs() / 86_400) as i64, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:09} +0000",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_nanos()
    )
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

pub fn file(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "b brief i mime L dereference h z k s", "F mime-type") {
        Ok(options) => options,
        Err(error) => return misuse("file", &error, 1),
    };
    let width = options.rest.iter().map(|name| name.len()).max().unwrap_or(0);
    for name in &options.rest {
        let path = guest_host::path_of(name);
        let what = match guest_host::stat(path, options.has(&["L", "dereference"])) {
            Err(error) => format!("cannot open `{}' ({})", String::from_utf8_lossy(name), reason(&error)),
            Ok(stat) => match stat.mode & 0o170000 {
                0o040000 => "directory".into(),
                0o120000 => {
                    format!("symbolic link to {}", std::fs::read_link(path).unwrap_or_default().display())
                }
                0o020000 => "character special".into(),
                _ => read(name).map_or_else(|error| reason(&error), |data| describe(&data)),
            },
        };
        if options.has(&["b", "brief"]) {
            write(format!("{what}\n").as_bytes());
        } else {
            let shown = String::from_utf8_lossy(name);
            write(format!("{shown}:{:pad$} {what}\n", "", pad = width - name.len()).as_bytes());
        }
    }
    0
}

// A line that only Python has: a function's head, or names taken from a module.
fn is_python(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    (line.starts_with(b"def ") && line.trim_ascii_end().ends_with(b":"))
        || (line.starts_with(b"from ") && line.windows(8).any(|part| part == b" import "))
}

fn describe(data: &[u8]) -> String {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"\x7fELF", "ELF"),
        (b"\x1f\x8b", "gzip compressed data"),
        (b"PK\x03\x04", "Zip archive data"),
        (b"\x89PNG\r\n\x1a\n", "PNG image data"),
        (b"GIF8", "GIF image data"),
        (b"\xff\xd8\xff", "JPEG image data"),
        (b"%PDF-", "PDF document"),
        (b"\xfd7zXZ\0", "XZ compressed data"),
        (b"BZh", "bzip2 compressed data"),
        (b"\0asm", "WebAssembly (wasm) binary module"),
        (b"SQLite format 3\0", "SQLite 3.x database"),
    ];
    if data.is_empty() {
        return "empty".into();
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| data.starts_with(magic)) {
        return (*what).into();
    }
    if data.contains(&0) {
        return "data".into();
    }
    let base = if data.is_ascii() {
        "ASCII text"
    } else if std::str::from_utf8(data).is_ok() {
        "Unicode text, UTF-8 text"
    } else {
        "ISO-8859 text"
    };
    let first = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let script = first.strip_prefix(b"#!").map(|line| String::from_utf8_lossy(line).trim().to_owned());
    let mut text = match script {
        Some(line) if line.contains("python3") => format!("Python script, {base} executable"),
        Some(line) if line.contains("python") => format!("Python script, {base} executable"),
        Some(line) if line.ends_with("bash") => format!("Bourne-Again shell script, {base} executable"),
        Some(line) if line.ends_with("/sh") => format!("POSIX shell script, {base} executable"),
        Some(line) => format!("a {line} script, {base} executable"),
        None if data.split(|byte| *byte == b'\n').any(is_python) => {
            format!("Python script, {base} executable")
        }
        None => base.to_owned(),
    };
    if data.windows(2).any(|pair| pair == b"\r\n") {
        text += ", with CRLF line terminators";
    } else if !data.contains(&b'\n') {
        text += ", with no line terminators";
    }
    text
}
