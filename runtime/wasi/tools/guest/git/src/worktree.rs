//! The worktree: what changed since the index, what is untracked, and writing files out.

use crate::error::{Result, die, fatal, reason};
use crate::ignore::Ignore;
use crate::index::{Entry, Index, seconds};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use guest_host::Stat;
use std::fs;

/// A symbolic link's mode.
pub const LINK: u32 = 0o120000;
/// A submodule's mode.
pub const MODULE: u32 = 0o160000;

/// What the worktree has at a path of the index.
pub enum Found {
    Same,
    Missing,
    /// The file's mode, its content, and the content's id.
    Changed(u32, Id),
}

/// How untracked files are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Untracked {
    No,
    /// A directory without tracked files is one name.
    Normal,
    All,
}

impl Repo {
    /// The mode that git gives a file.
    pub fn mode_of(&self, stat: &Stat, before: u32) -> u32 {
        match stat.mode & 0o170000 {
            0o120000 => LINK,
            _ if !self.config.is("core.filemode", true) && before & 0o170000 == 0o100000 => before,
            _ if stat.mode & 0o100 != 0 => 0o100755,
            _ => 0o100644,
        }
    }

    /// A file's content as git stores it: a link's is its target.
    pub fn content(&self, path: &[u8]) -> Result<Vec<u8>> {
        let at = self.at(path)?;
        let failed = |error: std::io::Error| {
            fatal(format!("could not open '{}' for reading: {}", at.display(), reason(&error)))
        };
        let meta = fs::symlink_metadata(&at).map_err(failed)?;
        if meta.file_type().is_symlink() {
            let target = fs::read_link(&at).map_err(failed)?;
            return Ok(guest_host::bytes_of(target.as_os_str()).to_vec());
        }
        let mut data = fs::read(&at).map_err(failed)?;
        let auto = self.config.get("core.autocrlf").unwrap_or("false");
        if (auto == "true" || auto == "input") && !data.contains(&0) {
            let mut kept = Vec::with_capacity(data.len());
            for (at, byte) in data.iter().enumerate() {
                if !(*byte == b'\r' && data.get(at + 1) == Some(&b'\n')) {
                    kept.push(*byte);
                }
            }
            data = kept;
        }
        Ok(data)
    }

    /// Compares a file with its entry, by time and size first.
    pub fn compare(&self, index: &Index, entry: &Entry) -> Result<Found> {
        let Ok(stat) = guest_host::stat(&self.at(&entry.path)?, false) else { return Ok(Found::Missing) };
        if entry.mode == MODULE {
            return Ok(Found::Same);
        }
        if stat.mode & 0o170000 == 0o040000 {
            return Ok(Found::Missing);
        }
        let mode = self.mode_of(&stat, entry.mode);
        if entry.intent {
            return Ok(Found::Changed(mode, Id::of(Kind::Blob, &self.content(&entry.path)?)));
        }
        let time = seconds(stat.modified);
        // A file written in the same instant as the index may have changed after it.
        let fresh = entry.time != (0, 0)
            && entry.time == time
            && entry.size == stat.size as u32
            && time < index.written;
        if fresh && mode == entry.mode {
            return Ok(Found::Same);
        }
        let id = if fresh { entry.id } else { Id::of(Kind::Blob, &self.content(&entry.path)?) };
        Ok(if id == entry.id && mode == entry.mode { Found::Same } else { Found::Changed(mode, id) })
    }

    /// Puts a file of the worktree into the store and the index.
    pub fn stage(&self, index: &mut Index, path: &[u8]) -> Result<()> {
        let at = self.at(path)?;
        let stat = guest_host::stat(&at, false)?;
        let before = index.get(path).map_or(0, |entry| entry.mode);
        let id = self.odb.write(Kind::Blob, &self.content(path)?)?;
        let mut entry = Entry::new(path.to_vec(), self.mode_of(&stat, before), id);
        entry.seen(&stat);
        index.put(entry);
        Ok(())
    }

    /// Writes a blob out to the worktree and returns what is then known of the file.
    pub fn write_out(&self, path: &[u8], mode: u32, data: &[u8]) -> Result<Stat> {
        let at = self.at(path)?;
        let failed = |error: std::io::Error| {
            die(
                255,
                format!("error: unable to create file {}: {}", String::from_utf8_lossy(path), reason(&error)),
            )
        };
        if let Some(dir) = at.parent() {
            make_dirs(self.work()?, dir).map_err(failed)?;
        }
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&at).map_err(failed)?,
            Ok(_) => fs::remove_file(&at).map_err(failed)?,
            Err(_) => {}
        }
        if mode == LINK {
            guest_host::symlink(guest_host::path_of(data), &at).map_err(failed)?;
        } else {
            fs::write(&at, data).map_err(failed)?;
            if mode == 0o100755 {
                let bits = guest_host::mode(&at, true).map_err(failed)?;
                guest_host::set_mode(&at, bits | (bits & 0o444) >> 2).map_err(failed)?;
            }
        }
        guest_host::stat(&at, false).map_err(failed)
    }

    /// Writes an object out and notes it in the index.
    pub fn check_out(&self, index: &mut Index, path: &[u8], mode: u32, id: Id) -> Result<()> {
        let mut entry = Entry::new(path.to_vec(), mode, id);
        if mode == MODULE {
            fs::create_dir_all(self.at(path)?)?;
        } else {
            let stat = self.write_out(path, mode, &self.odb.blob(&id)?)?;
            entry.seen(&stat);
        }
        index.put(entry);
        Ok(())
    }

    /// Removes a file, and the directories that it leaves empty.
    pub fn remove_file(&self, path: &[u8]) -> Result<()> {
        let at = self.at(path)?;
        let work = self.work()?;
        match fs::remove_file(&at) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => {
                return Err(fatal(format!("unable to remove {}: {}", at.display(), reason(&error))));
            }
        }
        let mut dir = at.parent();
        while let Some(at) = dir.filter(|at| *at != work && at.starts_with(work)) {
            if fs::remove_dir(at).is_err() {
                break;
            }
            dir = at.parent();
        }
        Ok(())
    }

    /// Untracked paths, sorted; a directory ends in a slash. With `ignored`, those that are ignored instead.
    pub fn untracked(
        &self,
        index: &Index,
        specs: &Pathspec,
        how: Untracked,
        ignored: bool,
    ) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        if how != Untracked::No {
            let mut ignore = Ignore::new(self);
            let mut search =
                Search { repo: self, index, specs, how, ignored, ignore: &mut ignore, found: &mut found };
            search.dir(b"", false)?;
        }
        found.sort();
        Ok(found)
    }
}

// Parents are made below the worktree only: a file or link in their place gives way.
fn make_dirs(work: &std::path::Path, dir: &std::path::Path) -> std::io::Result<()> {
    if dir == work || fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(work, parent)?;
    }
    if fs::symlink_metadata(dir).is_ok() {
        fs::remove_file(dir)?;
    }
    fs::create_dir(dir)
}

struct Search<'a> {
    repo: &'a Repo,
    index: &'a Index,
    specs: &'a Pathspec,
    how: Untracked,
    ignored: bool,
    ignore: &'a mut Ignore,
    found: &'a mut Vec<Vec<u8>>,
}

impl Search<'_> {
    /// `base` ends in a slash or is empty.
    fn dir(&mut self, base: &[u8], inside_ignored: bool) -> Result<()> {
        let Ok(names) = fs::read_dir(self.repo.at(base)?) else { return Ok(()) };
        for name in names.flatten() {
            let file = name.file_name();
            let file = guest_host::bytes_of(&file);
            if file == b".git" {
                continue;
            }
            let mut path = base.to_vec();
            path.extend_from_slice(file);
            let dir = name.file_type().is_ok_and(|kind| kind.is_dir());
            if !dir && !self.index.stages(&path).is_empty() {
                continue;
            }
            let is_ignored = inside_ignored || self.ignore.is(&path, dir);
            if !dir {
                if is_ignored == self.ignored && self.specs.has(&path) {
                    self.found.push(path);
                }
                continue;
            }
            if !self.specs.may_have_below(&path) {
                continue;
            }
            let tracked = self.index.has_below(&path);
            if is_ignored && !tracked && !self.ignored {
                continue;
            }
            let nested = self.repo.at(&path)?.join(".git").exists();
            if self.index.stages(&path).iter().any(|entry| entry.mode == MODULE) {
                continue;
            }
            path.push(b'/');
            let below = self.found.len();
            if nested && !tracked {
                if is_ignored == self.ignored {
                    self.found.push(path);
                }
                continue;
            }
            self.dir(&path, is_ignored)?;
            // One name stands for a directory of which nothing is tracked, if all of it is meant.
            if self.how == Untracked::Normal
                && !tracked
                && self.found.len() > below
                && (is_ignored == self.ignored)
                && self.specs.has(&path[..path.len() - 1])
            {
                self.found.truncate(below);
                self.found.push(path);
            }
        }
        Ok(())
    }
}
