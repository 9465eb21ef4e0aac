//! `git apply`

mod file;
mod report;
mod write;

use crate::args::{Args, unbundle, unknown};
use crate::diff::Change;
use crate::error::{Result, die, fatal, reason};
use crate::patch::{self, FilePatch};
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;
use file::{one, spaces};
use report::report;
use std::collections::BTreeMap;
use std::io::Read;
use write::write;

/// Most bytes of a patch: 256 MiB.
const MOST: u64 = 256 << 20;

#[derive(Default)]
pub struct Options {
    pub check: bool,
    pub reverse: bool,
    pub index: bool,
    pub cached: bool,
    pub strip: Option<usize>,
    pub reject: bool,
    pub stat: bool,
    pub numstat: bool,
    pub summary: bool,
    pub apply: bool,
    pub verbose: bool,
    pub quiet: bool,
    pub three: bool,
    pub ignore_space: bool,
    pub allow_empty: bool,
    pub space: Option<String>,
    pub directory: Option<String>,
    pub recount: bool,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub context: Option<usize>,
}

/// `git apply`
pub fn apply(repo: Option<&Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut options = Options::default();
    let mut args = Args::new(unbundle(args, "Rvq3N"));
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--check" => options.check = true,
            "-R" | "--reverse" => options.reverse = true,
            "--index" => options.index = true,
            "--cached" => options.cached = true,
            "--reject" => options.reject = true,
            "--stat" => options.stat = true,
            "--numstat" => options.numstat = true,
            "--summary" => options.summary = true,
            "--apply" => options.apply = true,
            "-v" | "--verbose" => options.verbose = true,
            "-q" | "--quiet" => options.quiet = true,
            "-3" | "--3way" => options.three = true,
            "--ignore-whitespace" | "--ignore-space-change" => options.ignore_space = true,
            "--allow-empty" => options.allow_empty = true,
            "--recount" => options.recount = true,
            "--whitespace" => options.space = Some(args.value(&option)?),
            "--directory" => options.directory = Some(args.value(&option)?),
            "--include" => options.include.push(args.value(&option)?),
            "--exclude" => options.exclude.push(args.value(&option)?),
            "-p" => options.strip = args.value(&option)?.parse().ok(),
            "-C" => options.context = args.value(&option)?.parse().ok(),
            "--unsafe-paths"
            | "--inaccurate-eof"
            | "--unidiff-zero"
            | "--binary"
            | "--allow-binary-replacement"
            | "--allow-overlap"
            | "-N"
            | "--intent-to-add"
            | "--no-add"
            | "-z" => {}
            option if option.starts_with("-p") => options.strip = option[2..].parse().ok(),
            option if option.starts_with("-C") => options.context = option[2..].parse().ok(),
            option => return Err(unknown(option, "apply [<options>] [<patch>...]")),
        }
    }
    if options.space.is_none() {
        options.space = repo.and_then(|repo| repo.config.get("apply.whitespace")).map(str::to_owned);
    }
    let mut inputs = args.plain.clone();
    if inputs.is_empty() {
        inputs.push(b"-".to_vec());
    }
    let mut status = 0;
    for input in &inputs {
        let mut text = Vec::new();
        let name = if input == b"-" { "<stdin>".to_owned() } else { input.to_str_lossy().into_owned() };
        let read = if input == b"-" {
            std::io::stdin().lock().take(MOST).read_to_end(&mut text)
        } else {
            std::fs::File::open(guest_host::path_of(input))
                .and_then(|file| file.take(MOST).read_to_end(&mut text))
        };
        read.map_err(|error| die(128, format!("error: can't open patch '{name}': {}", reason(&error))))?;
        status |= run(repo, &text, &name, &options, out)?;
    }
    Ok(status)
}

/// What a file becomes.
struct Result_ {
    change: Change,
    content: Option<Vec<u8>>,
    rejected: Vec<usize>,
    file: FilePatch,
    conflict: bool,
}

/// Applies one patch text; the status.
pub fn run(repo: Option<&Repo>, text: &[u8], name: &str, options: &Options, out: &mut Out) -> Result<i32> {
    let mut files = patch::parse(text).map_err(|line| {
        die(128, format!("error: corrupt patch at {name}:{line}").replace(&format!("{name}:"), "line "))
    })?;
    if files.is_empty() {
        if options.allow_empty {
            return Ok(0);
        }
        return Err(die(128, "error: No valid patches in input (allow with \"--allow-empty\")"));
    }
    if let Some(file) = files.iter().find(|file| {
        file.git
            && file.hunks.is_empty()
            && file.binary.is_none()
            && !file.untold
            && !file.created
            && !file.deleted
            && !file.renamed
            && !file.copied
            && file.old_mode == file.new_mode
    }) {
        return Err(die(128, format!("error: patch with only garbage at line {}", file.line + 1)));
    }
    if options.reverse {
        files.iter_mut().for_each(FilePatch::reverse);
        files.reverse();
    }
    if !options.quiet {
        spaces(&files, name, options);
    }
    let prefix = repo.map(|repo| repo.prefix.clone()).unwrap_or_default();
    let inside =
        |file: &FilePatch, side: &Option<Vec<u8>>, first: bool| -> Option<Vec<u8>> {
            let count = options.strip.unwrap_or(
                if file.git || side.as_ref().is_some_and(|name| name.contains(&b'/')) { 1 } else { 0 },
            );
            let name = side.clone().or_else(|| {
                let (a, b) = file.both.clone()?;
                let missing = if first { file.created } else { file.deleted };
                let from_git = file.old.is_none() && file.new.is_none();
                (!missing && from_git).then_some(if first { a } else { b })
            })?;
            let count = if (file.renamed || file.copied) && file.hunks.is_empty() { 1 } else { count };
            let mut path = patch::strip(&name, count)?;
            if let Some(dir) = &options.directory {
                path = [dir.trim_end_matches('/').as_bytes(), b"/", &path].concat();
            }
            Some(path)
        };
    let mut results: Vec<Result_> = Vec::new();
    let mut failed = false;
    // A file that was patched before in the same text is taken as that left it.
    let mut done: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for file in files {
        let (old, new) = (inside(&file, &file.old, true), inside(&file, &file.new, false));
        let (old, new) = match (old, new) {
            (None, None) => {
                return Err(fatal(format!("unable to find filename in patch at line {}", file.line)));
            }
            (old, new) => (
                if file.created { None } else { old.or_else(|| new.clone()) },
                if file.deleted { None } else { new },
            ),
        };
        let new = if file.deleted { None } else { new.or_else(|| old.clone()) };
        let target = new.as_ref().or(old.as_ref()).cloned().unwrap_or_default();
        if target.split_str("/").any(|part| part == b".." || part == b".git") || target.starts_with(b"/") {
            return Err(die(128, format!("error: invalid path '{}'", target.to_str_lossy())));
        }
        let at_top =
            |path: &[u8]| if prefix.is_empty() { path.to_vec() } else { [prefix.as_slice(), path].concat() };
        // Names in a patch are of the top; in a subdirectory only what lies below it is touched.
        let (old, new) = match repo {
            Some(repo) if repo.work.is_some() && file.git && !prefix.is_empty() => {
                let keep =
                    |path: &Option<Vec<u8>>| path.as_ref().is_none_or(|path| path.starts_with(&prefix));
                if !keep(&old) || !keep(&new) {
                    if options.verbose {
                        warn(format!("Skipped patch '{}'.", target.to_str_lossy()));
                    }
                    continue;
                }
                (old, new)
            }
            _ => (old.map(|path| at_top(&path)), new.map(|path| at_top(&path))),
        };
        let shown = new.as_ref().or(old.as_ref()).cloned().unwrap_or_default();
        let name = shown.to_str_lossy().into_owned();
        let fits = |pattern: &String| crate::glob::matches(pattern.as_bytes(), &shown, false);
        if options.exclude.iter().any(fits)
            || (!options.include.is_empty() && !options.include.iter().any(fits))
        {
            continue;
        }
        if options.verbose || options.reject {
            warn(format!("Checking patch {name}..."));
        }
        match one(repo, options, file, old.as_deref(), new.as_deref(), &done) {
            Ok(result) => {
                if let Some(old) = old.filter(|_| !result.file.copied) {
                    done.insert(old, None);
                }
                if let Some(new) = new {
                    done.insert(new, result.content.clone());
                }
                results.push(result);
            }
            Err(error) => {
                if !options.quiet {
                    warn(&error.text);
                }
                failed = true;
            }
        }
    }
    if failed {
        return Ok(1);
    }
    report(repo, options, &results, out)?;
    if options.check || ((options.stat || options.numstat || options.summary) && !options.apply) {
        return Ok(0);
    }
    write(repo, options, results)
}
