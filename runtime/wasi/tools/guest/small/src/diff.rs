//! `diff`: files and directories compared, in normal, unified and context form.

use crate::io::{Options, reason, warn};
use guest_git::text::{self, Edit, Lines, Space};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

const KNOWN: &str = "a text b ignore-space-change B ignore-blank-lines c d minimal i ignore-case N new-file p \
    show-c-function q brief r recursive s report-identical-files u unified context w \
    ignore-all-space Z ignore-trailing-space E strip-trailing-cr no-dereference \
    speed-large-files normal color no-ignore-file-name-case t expand-tabs T initial-tab P";
const VALUED: &str = "U C L label x exclude horizon-lines palette";

enum Form {
    Normal,
    Unified,
    Context,
}

struct Diff {
    form: Form,
    lines: Lines,
    brief: bool,
    recursive: bool,
    absent: bool,
    same: bool,
    text: bool,
    heading: bool,
    cr: bool,
    labels: Vec<String>,
    exclude: Vec<String>,
    /// The options as typed, for the heads of compared files.
    typed: String,
    status: i32,
    out: Vec<u8>,
}

/// Runs `diff`; `None` if it was asked for a form that is not known here.
pub fn main(argv: &[Vec<u8>]) -> Option<i32> {
    let other = |arg: &&Vec<u8>| matches!(arg.as_slice(), b"-y" | b"--side-by-side" | b"-e" | b"--ed");
    if argv.iter().skip(1).any(|arg| other(&arg)) {
        return None;
    }
    // `-3` is three lines of context.
    let argv: Vec<Vec<u8>> = argv
        .iter()
        .enumerate()
        .map(|(at, arg)| match arg.as_slice() {
            [b'-', digits @ ..] if at > 0 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                [b"-U".as_slice(), digits].concat()
            }
            [b'-', letter @ (b'u' | b'c'), digits @ ..]
                if at > 0 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
            {
                [b"-", &letter.to_ascii_uppercase().to_be_bytes()[..], digits].concat()
            }
            _ => arg.clone(),
        })
        .collect();
    let options = match Options::read(&argv, KNOWN, VALUED) {
        Ok(options) => options,
        Err(error) => return Some(trouble(&error)),
    };
    let [from, to] = options.rest.as_slice() else {
        return Some(match options.rest.as_slice() {
            [.., last] if options.rest.len() > 2 => {
                trouble(&format!("extra operand '{}'", String::from_utf8_lossy(last)))
            }
            [] => trouble("missing operand after 'diff'"),
            rest => trouble(&format!("missing operand after '{}'", String::from_utf8_lossy(rest[0]))),
        });
    };
    let context = ["U", "unified", "C", "context"]
        .iter()
        .find_map(|name| options.value(&[name]))
        .and_then(|value| value.parse().ok());
    let all = |names: &[&str]| -> Vec<String> {
        options
            .given
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .filter_map(|(_, value)| value.clone())
            .collect()
    };
    let mut diff = Diff {
        form: if options.has(&["u", "U", "unified"]) {
            Form::Unified
        } else if options.has(&["c", "C", "context", "p", "show-c-function"]) {
            Form::Context
        } else {
            Form::Normal
        },
        lines: Lines {
            context: context.unwrap_or(3),
            ignore: if options.has(&["w", "ignore-all-space"]) {
                Space::All
            } else if options.has(&["b", "ignore-space-change"]) {
                Space::Amount
            } else if options.has(&["Z", "ignore-trailing-space"]) {
                Space::AtEnd
            } else {
                Space::None
            },
            blank_lines: options.has(&["B", "ignore-blank-lines"]),
            indent: false,
            fold: options.has(&["i", "ignore-case"]),
            ..Lines::default()
        },
        brief: options.has(&["q", "brief"]),
        recursive: options.has(&["r", "recursive"]),
        absent: options.has(&["N", "new-file"]),
        same: options.has(&["s", "report-identical-files"]),
        text: options.has(&["a", "text"]),
        heading: options.has(&["p", "show-c-function"]),
        cr: options.has(&["strip-trailing-cr"]),
        labels: all(&["L", "label"]),
        exclude: all(&["x", "exclude"]),
        typed: argv
            .iter()
            .skip(1)
            .filter(|arg| arg.starts_with(b"-") && arg.len() > 1)
            .map(|arg| format!(" {}", String::from_utf8_lossy(arg)))
            .collect(),
        status: 0,
        out: Vec::new(),
    };
    let is_dir = |name: &[u8]| guest_host::path_of(name).is_dir();
    let below = |dir: &[u8], file: &[u8]| {
        let base = file.rsplit(|byte| *byte == b'/').next().unwrap_or(file);
        let mut path = dir.to_vec();
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(base);
        path
    };
    match (is_dir(from), is_dir(to)) {
        (true, true) => diff.dirs(from, to),
        (true, false) if *to != b"-" => diff.files(&below(from, to), to, false),
        (false, true) if *from != b"-" => diff.files(from, &below(to, from), false),
        _ => diff.files(from, to, false),
    }
    diff.flush();
    Some(diff.status)
}

fn trouble(text: &str) -> i32 {
    warn("diff", text);
    warn("diff", "Try 'diff --help' for more information.");
    2
}

impl Diff {
    fn flush(&mut self) {
        crate::io::write(&self.out);
        self.out.clear();
    }

    fn say(&mut self, text: String) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\n');
    }

    fn worse(&mut self, status: i32) {
        self.status = self.status.max(status);
    }

    fn read(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        match crate::io::read(name) {
            Ok(bytes) => Some(bytes),
            Err(error) if self.absent && error.kind() == std::io::ErrorKind::NotFound => Some(Vec::new()),
            Err(error) => {
                self.flush();
                warn("diff", format!("{}: {}", String::from_utf8_lossy(name), reason(&error)));
                self.worse(2);
                None
            }
        }
    }

    fn files(&mut self, from: &[u8], to: &[u8], inside: bool) {
        let (old, new) = (self.read(from), self.read(to));
        let (Some(mut old), Some(mut new)) = (old, new) else { return };
        let (a, b) = (String::from_utf8_lossy(from).into_owned(), String::from_utf8_lossy(to).into_owned());
        if old == new {
            if self.same {
                self.say(format!("Files {a} and {b} are identical"));
            }
            return;
        }
        if !self.text && (text::is_binary(&old) || text::is_binary(&new)) {
            let kind = if self.brief { "Files" } else { "Binary files" };
            self.say(format!("{kind} {a} and {b} differ"));
            return self.worse(1);
        }
        if self.cr {
            old = unended(&old);
            new = unended(&new);
        }
        let (old, new) = (text::split(&old), text::split(&new));
        let edits = text::edits(&old, &new, &self.lines);
        if edits.is_empty() {
            if self.same {
                self.say(format!("Files {a} and {b} are identical"));
            }
            return;
        }
        self.worse(1);
        if self.brief {
            return self.say(format!("Files {a} and {b} differ"));
        }
        if inside {
            self.say(format!("diff{} {a} {b}", self.typed));
        }
        let mut out = Vec::new();
        match self.form {
            Form::Normal => normal(&mut out, &old, &new, &edits),
            Form::Unified => {
                for (sign, name, label) in [("---", from, 0), ("+++", to, 1)] {
                    out.extend_from_slice(format!("{sign} {}\n", self.head(name, label)).as_bytes());
                }
                let heading = self.heading;
                text::unified(&mut out, &old, &new, &self.lines, &|line| {
                    text::plain_heading(line)
                        .filter(|_| heading)
                        .map(|name| name[..name.len().min(40)].trim_ascii_end().to_vec())
                });
            }
            Form::Context => {
                for (sign, name, label) in [("***", from, 0), ("---", to, 1)] {
                    out.extend_from_slice(format!("{sign} {}\n", self.head(name, label)).as_bytes());
                }
                contexts(&mut out, &old, &new, &edits, &self.lines);
            }
        }
        self.out.append(&mut out);
    }

    fn head(&self, name: &[u8], label: usize) -> String {
        if let Some(label) = self.labels.get(label) {
            return label.clone();
        }
        let time = if name == b"-" {
            Ok(std::time::SystemTime::now())
        } else {
            guest_host::stat(guest_host::path_of(name), true).map(|stat| stat.modified)
        };
        format!(
            "{}\t{}",
            String::from_utf8_lossy(name),
            crate::stat::date(time.unwrap_or(std::time::UNIX_EPOCH))
        )
    }

    fn dirs(&mut self, from: &[u8], to: &[u8]) {
        let mut names = |dir: &[u8]| -> Option<BTreeSet<Vec<u8>>> {
            match fs::read_dir(guest_host::path_of(dir)) {
                Ok(entries) => Some(
                    entries
                        .flatten()
                        .map(|entry| guest_host::bytes_of(&entry.file_name()).to_vec())
                        .collect(),
                ),
                Err(error) if self.absent && error.kind() == std::io::ErrorKind::NotFound => {
                    Some(BTreeSet::new())
                }
                Err(error) => {
                    warn("diff", format!("{}: {}", String::from_utf8_lossy(dir), reason(&error)));
                    self.status = 2;
                    None
                }
            }
        };
        let (Some(old), Some(new)) = (names(from), names(to)) else { return };
        let join = |dir: &[u8], name: &[u8]| [dir.strip_suffix(b"/").unwrap_or(dir), b"/", name].concat();
        for name in old.union(&new) {
            if self.exclude.iter().any(|pattern| guest_git::glob_matches(pattern.as_bytes(), name)) {
                continue;
            }
            let (a, b) = (join(from, name), join(to, name));
            let (here, there) = (old.contains(name), new.contains(name));
            let is_dir = |path: &[u8]| guest_host::path_of(path).is_dir();
            if here && there || self.absent && (self.recursive || !is_dir(if here { &a } else { &b })) {
                // With -N what is not there is as empty as the other side needs it.
                match (is_dir(&a) || !here && is_dir(&b), is_dir(&b) || !there && is_dir(&a)) {
                    (true, true) if self.recursive => self.dirs(&a, &b),
                    (true, true) => self.say(format!(
                        "Common subdirectories: {} and {}",
                        String::from_utf8_lossy(&a),
                        String::from_utf8_lossy(&b)
                    )),
                    (false, false) => self.files(&a, &b, true),
                    (first, _) => {
                        let kind = |dir: bool, path: &[u8]| {
                            if dir {
                                "directory"
                            } else if fs::metadata(Path::new(guest_host::path_of(path)))
                                .is_ok_and(|meta| meta.len() == 0)
                            {
                                "regular empty file"
                            } else {
                                "regular file"
                            }
                        };
                        self.say(format!(
                            "File {} is a {} while file {} is a {}",
                            String::from_utf8_lossy(&a),
                            kind(first, &a),
                            String::from_utf8_lossy(&b),
                            kind(!first, &b)
                        ));
                        self.worse(1);
                    }
                }
            } else {
                let dir = String::from_utf8_lossy(if here { from } else { to }).into_owned();
                self.say(format!(
                    "Only in {}: {}",
                    dir.strip_suffix('/').filter(|dir| !dir.is_empty()).unwrap_or(&dir),
                    String::from_utf8_lossy(name)
                ));
                self.worse(1);
            }
            if self.out.len() > 1 << 16 {
                self.flush();
            }
        }
    }
}

fn unended(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if !(*byte == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            out.push(*byte);
        }
    }
    out
}

fn put(out: &mut Vec<u8>, sign: &str, line: &[u8]) {
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        out.extend_from_slice(b"\n\\ No newline at end of file\n");
    }
}

fn span((start, end): (usize, usize)) -> String {
    if end <= start + 1 { end.max(start).to_string() } else { format!("{},{end}", start + 1) }
}

fn normal(out: &mut Vec<u8>, old: &[&[u8]], new: &[&[u8]], edits: &[Edit]) {
    for edit in edits {
        let letter = match (edit.old.0 == edit.old.1, edit.new.0 == edit.new.1) {
            (true, _) => 'a',
            (_, true) => 'd',
            _ => 'c',
        };
        let _ = writeln!(out, "{}{letter}{}", span(edit.old), span(edit.new));
        for line in &old[edit.old.0..edit.old.1] {
            put(out, "< ", line);
        }
        if letter == 'c' {
            out.extend_from_slice(b"---\n");
        }
        for line in &new[edit.new.0..edit.new.1] {
            put(out, "> ", line);
        }
    }
}

fn contexts(out: &mut Vec<u8>, old: &[&[u8]], new: &[&[u8]], edits: &[Edit], how: &Lines) {
    let context = how.context as usize;
    for group in text::hunks(edits, how) {
        let group = &edits[group];
        let (first, last) = (group[0], group[group.len() - 1]);
        let before = context.min(first.old.0).min(first.new.0);
        let after = context.min(old.len() - last.old.1).min(new.len() - last.new.1);
        let sides = [
            (old, first.old.0 - before, last.old.1 + after, true),
            (new, first.new.0 - before, last.new.1 + after, false),
        ];
        out.extend_from_slice(b"***************\n");
        for (lines, start, end, is_old) in sides {
            let mark = if is_old { "***" } else { "---" };
            let _ = writeln!(out, "{mark} {} {mark}{}", span((start, end)), if is_old { "*" } else { "-" });
            let of = |edit: &Edit| if is_old { edit.old } else { edit.new };
            if group.iter().all(|edit| of(edit).0 == of(edit).1) {
                continue;
            }
            let mut at = start;
            for edit in group {
                let (from, to) = of(edit);
                for line in &lines[at..from] {
                    put(out, "  ", line);
                }
                let both = edit.old.0 != edit.old.1 && edit.new.0 != edit.new.1;
                for line in &lines[from..to] {
                    put(
                        out,
                        if both {
                            "! "
                        } else if is_old {
                            "- "
                        } else {
                            "+ "
                        },
                        line,
                    );
                }
                at = to;
            }
            for line in &lines[at..end] {
                put(out, "  ", line);
            }
        }
    }
}
