//! `tree`: a directory as a drawing.

use crate::io::{Options, misuse, write};
use std::fs;
use std::path::Path;

struct Drawing {
    all: bool,
    dirs_only: bool,
    depth: usize,
    full: bool,
    mark: bool,
    ignore: Vec<String>,
    only: Vec<String>,
    no_lines: bool,
    dirs_first: bool,
    dirs: usize,
    files: usize,
    out: Vec<u8>,
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "a d f F i C n noreport dirsfirst prune N A S charset";
    let options = match Options::read(argv, known, "L I P filelimit") {
        Ok(options) => options,
        Err(error) => return misuse("tree", &error, 1),
    };
    let patterns = |name: &str| -> Vec<String> {
        options
            .given
            .iter()
            .filter(|(given, _)| given == name)
            .filter_map(|(_, value)| value.as_deref())
            .flat_map(|value| value.split('|'))
            .map(str::to_owned)
            .collect()
    };
    let mut drawing = Drawing {
        all: options.has(&["a"]),
        dirs_only: options.has(&["d"]),
        depth: options.value(&["L"]).and_then(|value| value.parse().ok()).unwrap_or(usize::MAX),
        full: options.has(&["f"]),
        mark: options.has(&["F"]),
        ignore: patterns("I"),
        only: patterns("P"),
        no_lines: options.has(&["i"]),
        dirs_first: options.has(&["dirsfirst"]),
        dirs: 0,
        files: 0,
        out: Vec::new(),
    };
    if options.value(&["L"]).is_some_and(|value| value.parse::<usize>().is_err() || value == "0") {
        crate::io::warn("tree", "Invalid level, must be greater than 0.");
        return 1;
    }
    let dot: &[&[u8]] = &[b"."];
    let mut status = 0;
    for top in if options.rest.is_empty() { dot } else { &options.rest } {
        let path = guest_host::path_of(top);
        drawing.out.extend_from_slice(top);
        if path.is_dir() {
            drawing.dirs += 1;
            drawing.out.push(b'\n');
            drawing.below(path, "", 1);
        } else {
            drawing.out.extend_from_slice(b"  [error opening dir]\n");
            status = 2;
        }
    }
    if !options.has(&["noreport"]) {
        let (dirs, files) = (drawing.dirs, drawing.files);
        let say =
            |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let mut line = format!("\n{}", say(dirs, "directory", "directories"));
        if !drawing.dirs_only {
            line += &format!(", {}", say(files, "file", "files"));
        }
        drawing.out.extend_from_slice(line.as_bytes());
        drawing.out.push(b'\n');
    }
    write(&drawing.out);
    status
}

impl Drawing {
    fn below(&mut self, dir: &Path, lead: &str, depth: usize) {
        if depth > self.depth {
            return;
        }
        let mut names: Vec<(Vec<u8>, fs::DirEntry, bool)> = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = guest_host::bytes_of(&entry.file_name()).to_vec();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let fits = |patterns: &[String]| {
                patterns.iter().any(|pattern| guest_git::glob_matches(pattern.as_bytes(), &name))
            };
            let hidden = name.starts_with(b".") && !self.all;
            let other = !is_dir && (self.dirs_only || (!self.only.is_empty() && !fits(&self.only)));
            if !hidden && !other && !fits(&self.ignore) {
                names.push((name, entry, is_dir));
            }
        }
        names.sort_by(|a, b| {
            (self.dirs_first && !a.2).cmp(&(self.dirs_first && !b.2)).then_with(|| a.0.cmp(&b.0))
        });
        let count = names.len();
        for (at, (name, entry, is_dir)) in names.into_iter().enumerate() {
            let last = at + 1 == count;
            if !self.no_lines {
                self.out.extend_from_slice(lead.as_bytes());
                self.out.extend_from_slice(if last {
                    "└── ".as_bytes()
                } else {
                    "├── ".as_bytes()
                });
            }
            if self.full {
                self.out.extend_from_slice(guest_host::bytes_of(entry.path().as_os_str()));
            } else {
                self.out.extend_from_slice(&name);
            }
            if let Ok(target) = fs::read_link(entry.path()) {
                self.out.extend_from_slice(b" -> ");
                self.out.extend_from_slice(guest_host::bytes_of(target.as_os_str()));
            } else if self.mark && is_dir {
                self.out.push(b'/');
            }
            self.out.push(b'\n');
            if is_dir {
                self.dirs += 1;
                self.below(
                    &entry.path(),
                    &format!("{lead}{}", if last { "    " } else { "│\u{a0}\u{a0} " }),
                    depth + 1,
                );
            } else {
                self.files += 1;
            }
        }
    }
}
