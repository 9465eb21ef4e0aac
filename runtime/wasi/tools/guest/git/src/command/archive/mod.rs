//! `git archive`

mod tar;
mod zip;

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::attributes;
use crate::error::{Result, die, fatal, reason};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use bstr::ByteSlice;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const FORMATS: &[&str] = &["tar", "tgz", "tar.gz", "zip"];
const USAGE: &str = "usage: git archive [<options>] <tree-ish> [<path>...]
   or: git archive --list
   or: git archive --remote <repo> [--exec <cmd>] [<options>] <tree-ish> [<path>...]
   or: git archive --remote <repo> [--exec <cmd>] --list
";

/// One name in an archive.
pub struct Entry {
    /// Its path with the prefix; a directory's ends in a slash.
    pub path: Vec<u8>,
    /// Its mode as a tree has it.
    pub mode: u32,
    /// The object's id.
    pub id: Id,
    /// The content; none of a directory.
    pub data: Vec<u8>,
}

/// What all entries share.
pub struct Origin {
    /// The commit, if a commit was named.
    pub commit: Option<Id>,
    /// Seconds since 1970.
    pub time: i64,
}

/// `git archive`
pub fn archive(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "lv"));
    let (mut format, mut prefix, mut output, mut verbose, mut level) = (None, String::new(), None, false, 6);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-l" | "--list" => {
                FORMATS.iter().for_each(|name| out.line(name));
                return Ok(0);
            }
            "--format" => format = Some(args.value(&option)?),
            "--prefix" => prefix = args.value(&option)?,
            "-o" | "--output" => output = Some(args.value(&option)?),
            "-v" | "--verbose" => verbose = true,
            "--worktree-attributes" => {}
            option if option.len() == 2 && option[1..].parse::<u32>().is_ok_and(|digit| digit <= 9) => {
                level = option[1..].parse().unwrap_or(level);
            }
            "--remote" | "--exec" | "--add-file" | "--add-virtual-file" => {
                return Err(fatal(format!("{option} is not known here")));
            }
            option => return Err(unknown(option, "archive [<options>] <tree-ish> [<path>...]")),
        }
    }
    let by_name = |name: &String| FORMATS.iter().find(|format| name.ends_with(&format!(".{format}")));
    let format = format.or_else(|| output.as_ref().and_then(by_name).map(|name| (*name).to_owned()));
    let format = format.unwrap_or_else(|| "tar".into());
    if !FORMATS.contains(&format.as_str()) {
        return Err(fatal(format!("Unknown archive format '{format}'")));
    }
    let words = args.words();
    let Some(name) = words.first() else { return Err(die(129, USAGE)) };
    let Some(id) = repo.try_rev(name)? else { return Err(fatal(format!("not a valid object name: {name}"))) };
    let commit = repo.peel(id, Kind::Commit)?;
    let time = match commit {
        Some(commit) => repo.odb.commit(&commit)?.committer.time,
        None => crate::date::now(),
    };
    let Some(mut tree) = repo.peel(id, Kind::Tree)? else {
        return Err(fatal(format!("not a tree object: {id}")));
    };
    // Below the top only the current directory is packed.
    let below = repo.prefix.strip_suffix(b"/").filter(|_| !name.contains(':'));
    if let Some(below) = below {
        match repo.in_tree(tree, below)? {
            Some((0o40000, id)) => tree = id,
            _ => return Err(fatal("current working directory is untracked")),
        }
    }
    let top = Repo { prefix: Vec::new(), ..Repo::with(repo.dir.clone(), repo.work.clone()) };
    let specs = Pathspec::new(&top, &args.plain[1..])?;
    let files = repo.tree_files(Some(tree))?;
    if let Some(typed) = specs.unmatched(files.keys().map(Vec::as_slice)) {
        return Err(fatal([b"pathspec '", typed, b"' did not match any files"].concat()));
    }
    let mut entries = Vec::new();
    if prefix.ends_with('/') {
        entries.push(Entry { path: prefix.clone().into_bytes(), mode: 0o40000, id: tree, data: Vec::new() });
    }
    let mut list = List { repo, specs: &specs, prefix: prefix.as_bytes(), entries };
    list.tree(tree, &mut Vec::new(), &mut Vec::new())?;
    if verbose {
        let names: Vec<_> =
            list.entries.iter().map(|entry| [entry.path.as_slice(), b"\n"].concat()).collect();
        let _ = std::io::stderr().lock().write_all(&names.concat());
    }
    let origin = Origin { commit, time };
    let bytes = match format.as_str() {
        "zip" => zip::pack(&list.entries, &origin, level)?,
        "tar" => tar::pack(&list.entries, &origin),
        _ => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::new(level));
            packer.write_all(&tar::pack(&list.entries, &origin))?;
            packer.finish()?
        }
    };
    match output {
        Some(path) => std::fs::write(&path, bytes)
            .map_err(|error| fatal(format!("could not create archive file '{path}': {}", reason(&error))))?,
        None => out.bytes.extend(bytes),
    }
    Ok(0)
}

/// The entries of an archive under way.
struct List<'a> {
    repo: &'a Repo,
    specs: &'a Pathspec,
    prefix: &'a [u8],
    entries: Vec<Entry>,
}

impl List<'_> {
    /// Adds a tree's entries; a directory comes with the first file below it.
    fn tree(&mut self, tree: Id, base: &mut Vec<u8>, waiting: &mut Vec<Entry>) -> Result<()> {
        for entry in self.repo.odb.tree(&tree)?.iter() {
            let length = base.len();
            base.extend_from_slice(&entry.name);
            if attributes::of(self.repo, &[&self.repo.prefix, base.as_slice()].concat()).ignored_in_archives {
                base.truncate(length);
                continue;
            }
            if entry.is_tree() {
                base.push(b'/');
                let count = waiting.len();
                waiting.push(self.entry(base, entry.mode, entry.id, Vec::new()));
                self.tree(entry.id, base, waiting)?;
                waiting.truncate(count);
            } else if self.specs.has(base) {
                self.entries.append(waiting);
                let data = match entry.mode {
                    crate::worktree::MODULE => Vec::new(),
                    _ => self.repo.odb.blob(&entry.id)?,
                };
                let path = if entry.mode == crate::worktree::MODULE {
                    [base.as_bytes(), b"/"].concat()
                } else {
                    base.clone()
                };
                let made = self.entry(&path, entry.mode, entry.id, data);
                self.entries.push(made);
            }
            base.truncate(length);
        }
        Ok(())
    }

    fn entry(&self, path: &[u8], mode: u32, id: Id, data: Vec<u8>) -> Entry {
        Entry { path: [self.prefix, path].concat(), mode, id, data }
    }
}
