//! `patch`: puts a patch onto files, as GNU patch does and says it.

use crate::io::{Options, misuse, read, reason, warn, write};
use guest_git::patch::{Ends, FilePatch, Hunk, Target, parse, strip};
use std::fs;

/// Lines of context that may differ, unless told otherwise.
const FUZZ: usize = 2;

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "R reverse s quiet silent f force N forward t batch E remove-empty-files l \
        ignore-whitespace u unified b backup verbose dry-run binary n c no-backup-if-mismatch \
        backup-if-mismatch posix T Z merge";
    let valued = "p strip i input d directory o output F fuzz r reject-file B z suffix V D Y g";
    let options = match Options::read(argv, known, valued) {
        Ok(options) => options,
        Err(error) => return misuse("patch", &error, 2),
    };
    if let Some(dir) = options.value(&["d", "directory"])
        && let Err(error) = std::env::set_current_dir(dir)
    {
        warn("patch", format!("**** Can't change to directory {dir} : {}", reason(&error)));
        return 2;
    }
    let input = options
        .value(&["i", "input"])
        .map(|input| input.as_bytes().to_vec())
        .or_else(|| options.rest.get(1).map(|input| input.to_vec()))
        .unwrap_or_else(|| b"-".to_vec());
    let text = match read(&input) {
        Ok(text) => text,
        Err(error) => {
            warn(
                "patch",
                format!(
                    "**** Can't open patch file {} : {}",
                    String::from_utf8_lossy(&input),
                    reason(&error)
                ),
            );
            return 2;
        }
    };
    let files = match parse(&text) {
        Ok(files) if files.is_empty() => {
            if text.is_empty() {
                return 0;
            }
            warn("patch", "**** Only garbage was found in the patch input.");
            return 2;
        }
        Ok(files) => files,
        Err(line) => {
            let bad = text.split_inclusive(|byte| *byte == b'\n').nth(line - 1);
            match bad {
                None => warn("patch", "**** unexpected end of file in patch"),
                Some(bad) => warn(
                    "patch",
                    format!("**** malformed patch at line {line}: {}", String::from_utf8_lossy(bad)),
                ),
            }
            return 2;
        }
    };
    let number = |names: &[&str]| options.value(names).and_then(|value| value.parse::<usize>().ok());
    let mut run = Run {
        reverse: options.has(&["R", "reverse"]),
        quiet: options.has(&["s", "quiet", "silent"]),
        force: options.has(&["f", "force"]),
        forward: options.has(&["N", "forward"]),
        batch: options.has(&["t", "batch"]),
        dry: options.has(&["dry-run"]),
        backup: options.has(&["b", "backup"]),
        loose: options.has(&["l", "ignore-whitespace"]),
        empty: options.has(&["E", "remove-empty-files"]),
        strip: number(&["p", "strip"]),
        fuzz: number(&["F", "fuzz"]).unwrap_or(FUZZ),
        output: options.value(&["o", "output"]).map(str::to_owned),
        rejects: options.value(&["r", "reject-file"]).map(str::to_owned),
        suffix: options.value(&["z", "suffix"]).unwrap_or(".orig").to_owned(),
        status: 0,
    };
    let target = options.rest.first().map(|file| file.to_vec());
    for file in files {
        run.file(file, target.as_deref());
    }
    run.status
}

struct Run {
    reverse: bool,
    quiet: bool,
    force: bool,
    forward: bool,
    batch: bool,
    dry: bool,
    backup: bool,
    loose: bool,
    empty: bool,
    strip: Option<usize>,
    fuzz: usize,
    output: Option<String>,
    rejects: Option<String>,
    suffix: String,
    status: i32,
}

fn say(text: &str) {
    write(format!("{text}\n").as_bytes());
}

impl Run {
    // The names in a patch, cut, in the order of their worth; without a count only the last part of a name counts.
    fn names(&self, file: &FilePatch) -> Vec<Vec<u8>> {
        let cut = |name: &Vec<u8>| match self.strip {
            Some(count) => strip(name, count),
            None => name.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec),
        };
        let both = file.both.as_ref();
        let old = file.old.clone().or_else(|| {
            both.filter(|_| file.git && !file.created && file.new.is_none()).map(|(a, _)| a.clone())
        });
        let new = file.new.clone().or_else(|| {
            both.filter(|_| file.git && !file.deleted && file.old.is_none()).map(|(_, b)| b.clone())
        });
        [old, new, file.index.clone()].iter().flatten().filter_map(cut).collect()
    }

    fn pick(&self, file: &FilePatch) -> Option<Vec<u8>> {
        let names = self.names(file);
        let there: Vec<&Vec<u8>> = names.iter().filter(|name| guest_host::path_of(name).is_file()).collect();
        let rank = |name: &&&Vec<u8>| {
            let parts = name.iter().filter(|byte| **byte == b'/').count();
            let base = name.rsplit(|byte| *byte == b'/').next().map_or(0, <[u8]>::len);
            (parts, base, name.len())
        };
        if let Some(best) = there.iter().min_by_key(rank) {
            return Some((**best).clone());
        }
        let creates = if self.reverse { file.deleted } else { file.created };
        if creates { names.iter().min_by_key(|name| rank(&name)).cloned() } else { None }
    }

    fn file(&mut self, mut file: FilePatch, target: Option<&[u8]>) {
        let Some(name) = target.map(<[u8]>::to_vec).or_else(|| self.pick(&file)) else {
            let hunks = file.hunks.len();
            say(&format!(
                "can't find file to patch at input line {}",
                file.hunks.first().map_or(file.line, |hunk| hunk.line)
            ));
            say(if self.strip.is_some() {
                "Perhaps you used the wrong -p or --strip option?"
            } else {
                "Perhaps you should have used the -p or --strip option?"
            });
            say("The text leading up to this was:\n--------------------------");
            for line in String::from_utf8_lossy(&file.head).lines().take_while(|line| !line.starts_with("@@"))
            {
                say(&format!("|{line}"));
            }
            say("--------------------------");
            if !(self.force || self.batch) {
                say("File to patch: ");
                say("Skip this patch? [y] ");
                say("Skipping patch.");
            } else {
                say("No file to patch.  Skipping patch.");
            }
            say(&format!("{hunks} out of {hunks} hunk{} ignored", if hunks == 1 { "" } else { "s" }));
            self.status = 1;
            return;
        };
        if self.reverse {
            file.reverse();
        }
        let shown = String::from_utf8_lossy(&name).into_owned();
        let path = guest_host::path_of(&name);
        let shown = if shown.contains(' ') { format!("'{shown}'") } else { shown };
        if !self.quiet {
            let verb = if self.dry { "checking" } else { "patching" };
            match &file.new {
                Some(new) if file.renamed => {
                    let new = strip(new, self.strip.unwrap_or(1)).unwrap_or_default();
                    say(&format!("{verb} file {} (renamed from {shown})", String::from_utf8_lossy(&new)));
                }
                _ => say(&format!("{verb} file {shown}")),
            }
        }
        let content = fs::read(path).unwrap_or_default();
        let exists = path.exists();
        let loose = self.loose;
        let equal = move |a: &[u8], b: &[u8]| {
            let words = |line: &[u8]| {
                line.split(u8::is_ascii_whitespace)
                    .filter(|word| !word.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect::<Vec<_>>()
            };
            a == b || (loose && words(a) == words(b))
        };
        let target_of = || Target::new(&content, Ends::Patch);
        let mut result = target_of();
        // A patch that fits only backwards was applied before.
        if let Some(first) = file.hunks.first() {
            let mut back = first.clone();
            back.reverse();
            let fits = |hunk: &Hunk, fuzz: usize| target_of().put(hunk, fuzz, &equal).is_some();
            let blocked = file.created && !content.is_empty();
            // The first amount of fuzz with which either way fits decides.
            let undone = (0..=self.fuzz).find_map(|fuzz| {
                if !blocked && fits(first, fuzz) { Some(false) } else { fits(&back, fuzz).then_some(true) }
            });
            let undone = undone.unwrap_or(false);
            if undone && !self.force {
                let what = if self.reverse { "Unreversed" } else { "Reversed (or previously applied)" };
                let count = file.hunks.len();
                let ignored =
                    format!("{count} out of {count} hunk{} ignored", if count == 1 { "" } else { "s" });
                if self.batch {
                    say(&format!(
                        "{what} patch detected!  {}",
                        if self.reverse { "Ignoring -R." } else { "Assuming -R." }
                    ));
                    file.reverse();
                } else {
                    let tail = if self.forward {
                        "Skipping patch."
                    } else {
                        "Assume -R? [n] \nApply anyway? [n] \nSkipping patch."
                    };
                    say(&format!("{what} patch detected!  {tail}"));
                    let reject = self.reject(&file, &shown, &file.hunks.iter().collect::<Vec<_>>());
                    say(&format!("{ignored}{reject}"));
                    self.status = 1;
                    return;
                }
            }
        }
        let mut failed: Vec<&Hunk> = Vec::new();
        let mut inexact = false;
        for (number, hunk) in file.hunks.iter().enumerate() {
            let number = number + 1;
            match result.put(hunk, self.fuzz, &equal) {
                Some(placed) => {
                    inexact |= placed.fuzz > 0 || placed.offset != 0;
                    let (before, after) = hunk.context();
                    let cut = (placed.fuzz + before).saturating_sub(before.max(after)).min(before) as isize;
                    let at =
                        (hunk.new_start as isize + if hunk.new_count == 0 { 1 } else { 0 } + placed.offset)
                            .max(1);
                    let _ = cut;
                    if (placed.fuzz > 0 || placed.offset != 0) && !self.quiet {
                        let mut line = format!("Hunk #{number} succeeded at {at}");
                        if placed.fuzz > 0 {
                            line += &format!(" with fuzz {}", placed.fuzz);
                        }
                        if placed.offset != 0 {
                            line += &format!(
                                " (offset {} line{})",
                                placed.offset,
                                if placed.offset.abs() == 1 { "" } else { "s" }
                            );
                        }
                        say(&(line + "."));
                    }
                }
                None => {
                    let at = hunk.new_start as isize + result.offset;
                    say(&format!("Hunk #{number} FAILED at {}.", at.max(0)));
                    failed.push(hunk);
                }
            }
        }
        let bytes = result.content();
        if !failed.is_empty() {
            self.status = 1;
            let count = file.hunks.len();
            let reject = self.reject(&file, &shown, &failed);
            say(&format!(
                "{} out of {count} hunk{} FAILED{reject}",
                failed.len(),
                if count == 1 { "" } else { "s" }
            ));
        }
        if self.dry {
            return;
        }
        let fail = |error: std::io::Error| {
            warn("patch", format!("**** Can't write {shown} : {}", reason(&error)));
            2
        };
        if exists && (self.backup || inexact || !failed.is_empty()) {
            let _ = fs::write(format!("{}{}", path.display(), self.suffix), &content);
        }
        if failed.len() == file.hunks.len() && !file.hunks.is_empty() {
            return;
        }
        if let Some(output) = &self.output {
            if output == "-" {
                write(&bytes);
            } else if let Err(error) = fs::write(output, bytes) {
                self.status = fail(error);
            }
            return;
        }
        let deletes = file.deleted && file.hunks.iter().all(|hunk| hunk.new_count == 0);
        if bytes.is_empty() && (deletes || self.empty) {
            if exists && let Err(error) = fs::remove_file(path) {
                self.status = fail(error);
            }
            let mut dir = path.parent();
            while let Some(at) = dir.filter(|at| !at.as_os_str().is_empty()) {
                if fs::remove_dir(at).is_err() {
                    break;
                }
                dir = at.parent();
            }
            return;
        }
        let to = match &file.new {
            Some(new) if file.renamed => strip(new, self.strip.unwrap_or(1)).unwrap_or(name.clone()),
            _ => name.clone(),
        };
        let to = guest_host::path_of(&to);
        if let Some(dir) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            let _ = fs::create_dir_all(dir);
        }
        if let Err(error) = fs::write(to, bytes) {
            self.status = fail(error);
            return;
        }
        if file.renamed && to != path {
            let _ = fs::remove_file(path);
        }
        if let Some(mode) = file.new_mode.filter(|mode| Some(*mode) != file.old_mode || !exists) {
            let _ = guest_host::set_mode(to, mode & 0o777);
        }
    }

    // Writes the hunks that failed beside the file and tells where.
    fn reject(&self, file: &FilePatch, name: &str, hunks: &[&Hunk]) -> String {
        let path = self.rejects.clone().unwrap_or_else(|| format!("{name}.rej"));
        if self.dry || path == "-" {
            return String::new();
        }
        let header = |side: &Option<Vec<u8>>| {
            side.as_ref().map_or("/dev/null".into(), |name| {
                String::from_utf8_lossy(&strip(name, self.strip.unwrap_or(0)).unwrap_or_else(|| name.clone()))
                    .into_owned()
            })
        };
        let mut text = format!("--- {}\n+++ {}\n", header(&file.old), header(&file.new)).into_bytes();
        for hunk in hunks {
            let range = |start: usize, count: usize| {
                if count == 1 { start.to_string() } else { format!("{start},{count}") }
            };
            text.extend_from_slice(
                format!(
                    "@@ -{} +{} @@",
                    range(hunk.old_start, hunk.old_count),
                    range(hunk.new_start, hunk.new_count)
                )
                .as_bytes(),
            );
            text.extend_from_slice(&hunk.heading);
            text.push(b'\n');
            for (sign, line) in &hunk.lines {
                text.push(*sign);
                text.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    text.extend_from_slice(b"\n\\ No newline at end of file\n");
                }
            }
        }
        match fs::write(&path, text) {
            Ok(()) => format!(" -- saving rejects to file {path}"),
            Err(_) => String::new(),
        }
    }
}
