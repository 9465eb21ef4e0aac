//! The filtering commit: the agent's changes, applied to the real directory, but for what could harm its owner.

use super::Changes;
use super::danger::{self, is_beneath};
use super::layer::{Layer, same_bytes};
use super::real::{Real, Reason, Result};
use super::walk::{Node, What};
use rustix::fs::{FileType, Stat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Paths that were written or removed, relative to the workspace.
    pub committed: Vec<PathBuf>,
    /// Paths that were not, or not wholly. A directory stands for all that is in it.
    pub withheld: Vec<Withheld>,
}

/// A path that was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
    /// It should have been, and could not be: the disk is full, the directory may not be written. Otherwise it is kept back
    /// because it could harm, or because something else is there meanwhile.
    pub failed: bool,
}

impl Withheld {
    fn at(path: &[u8], reason: impl Into<Reason>) -> Withheld {
        let Reason { why, failed } = reason.into();
        Withheld { path: PathBuf::from(OsStr::from_bytes(path)), why, failed }
    }
}

const PRIVILEGED: u32 = 0o6000;

/// Commits to a directory: `open` opens it, and `place` is where it is known to be.
pub(super) fn commit(
    changes: &Changes,
    place: &Path,
    open: impl FnOnce() -> io::Result<Real>,
) -> io::Result<Commit> {
    let Some(upper) = changes.upper.as_ref().filter(|_| !changes.is_empty()) else {
        // Who may not even read the directory has nothing to write there.
        return Ok(Commit::default());
    };
    let cache = own_cache(place);
    let real = open()?;
    let mut work = Work {
        upper,
        real: &real,
        index: changes.index(),
        cache: cache.as_deref(),
        covered: None,
        modes: Vec::new(),
        done: Commit::default(),
    };
    let mut skip: Option<&[u8]> = None;
    for node in &changes.nodes {
        if skip.is_some_and(|dir| is_beneath(dir, &node.path)) {
            continue;
        }
        if work.covered.is_some_and(|dir| !is_beneath(dir, &node.path)) {
            work.covered = None;
        }
        match work.take(node) {
            Ok(true) => work.done.committed.push(PathBuf::from(OsStr::from_bytes(&node.path))),
            Ok(false) => {}
            Err(reason) => {
                if matches!(node.what, What::Directory { .. }) {
                    skip = Some(&node.path);
                }
                work.done.withheld.push(Withheld::at(&node.path, reason));
            }
        }
    }
    work.settle_modes();
    Ok(work.done)
}

/// Where our own cache lies in the real directory, if it does: programs are started from it.
fn own_cache(real: &Path) -> Option<Vec<u8>> {
    let cache = crate::cache::cache_dir()?;
    // It may not be there yet, and then its parents count.
    let there =
        cache.ancestors().find_map(|a| Some((a.canonicalize().ok()?, cache.strip_prefix(a).ok()?)))?;
    let inside = there.0.join(there.1);
    let inside = inside.strip_prefix(real.canonicalize().ok()?).ok()?;
    Some(inside.as_os_str().as_bytes().to_vec())
}

struct Work<'a> {
    upper: &'a Layer,
    real: &'a Real,
    index: HashMap<&'a [u8], &'a Node>,
    /// Our own cache, relative to the real directory.
    cache: Option<&'a [u8]>,
    /// The outermost opaque directory that the walk is in: nothing that was there before shows through.
    covered: Option<&'a [u8]>,
    /// Modes of directories: set last, since a directory may be closed to writing.
    modes: Vec<(&'a [u8], u32)>,
    done: Commit,
}

impl<'a> Work<'a> {
    /// Applies one node; false when there was nothing to do, and the reason when it is withheld.
    fn take(&mut self, node: &'a Node) -> Result<bool> {
        let path = node.path.as_slice();
        if let Some(cache) = self.cache {
            let is_plain = matches!(node.what, What::Directory { opaque: false });
            if is_beneath(cache, path) || path == cache || (is_beneath(path, cache) && !is_plain) {
                return Err("the cache that sbx starts programs from is not written from inside".into());
            }
        }
        // A directory that is gone, and that nobody brought back, holds nothing to compare or remove.
        let there = self.real.stat(path)?;
        if danger::is_git(path) {
            self.allow_repository(node, there.as_ref())?;
        }
        let (index, real) = (&self.index, self.real);
        let mut exists = |path: &[u8]| match index.get(path) {
            Some(node) => node.what != What::Whiteout,
            None => real.stat(path).is_ok_and(|there| there.is_some()),
        };
        let mut is_there = |path: &[u8]| real.stat(path).is_ok_and(|there| there.is_some());
        if node.what != What::Whiteout
            && let Some(why) = danger::last_part(path, &mut is_there)
        {
            return Err(why.into());
        }
        if let Some(why) = danger::name(path, &mut exists) {
            let is_directory = there.as_ref().is_some_and(|s| kind(s) == FileType::Directory);
            return match node.what {
                // Copied up because something below it was touched: what lies below is named.
                What::Directory { opaque: false } if is_directory => Ok(false),
                What::File | What::Link if self.is_same(node, there.as_ref()) => Ok(false),
                _ => Err(why.into()),
            };
        }
        match node.what {
            What::Special(what) => Err(format!("{what} is not taken out of the sandbox").into()),
            What::Whiteout => self.real.remove(path),
            What::Directory { opaque } => self.directory(node, opaque, there.as_ref()),
            What::Link => self.link(node, there.as_ref()),
            What::File => self.file(node, there.as_ref()),
        }
    }

    /// The repository itself stays: its hooks and configuration are its owner's, and so is its history.
    fn allow_repository(&self, node: &Node, there: Option<&Stat>) -> Result<()> {
        let is_directory = there.is_some_and(|s| kind(s) == FileType::Directory);
        match node.what {
            What::Directory { opaque: false } if there.is_none() || is_directory => Ok(()),
            What::Directory { opaque: true } if there.is_none() => Ok(()),
            What::File if self.is_same(node, there) => Ok(()),
            What::Whiteout => Err("the repository itself is not removed".into()),
            What::Directory { .. } => Err("the repository itself is not replaced".into()),
            _ => Err("a .git that is no directory leads git elsewhere".into()),
        }
    }

    fn directory(&mut self, node: &'a Node, opaque: bool, there: Option<&Stat>) -> Result<bool> {
        let path = node.path.as_slice();
        let covered = opaque || self.covered.is_some();
        if opaque && self.covered.is_none() {
            self.covered = Some(path);
        }
        match there {
            Some(stat) if kind(stat) == FileType::Directory => {
                if covered {
                    self.clear(path)?;
                }
                if stat.st_mode & 0o1777 == node.mode & 0o1777 {
                    self.say_privileged(path, node.mode & !stat.st_mode, "the directory");
                    return Ok(false);
                }
            }
            // The agent saw a directory here. In the place of a file or link, it would have left an opaque one.
            Some(_) if !covered => return Err("it was replaced by a link or a file meanwhile".into()),
            other => {
                if other.is_some() {
                    self.real.remove(path)?;
                }
                self.real.make_directory(path)?;
            }
        }
        self.modes.push((path, node.mode));
        Ok(true)
    }

    /// Removes what lies in a directory that the agent made anew, but for what it put there.
    fn clear(&mut self, dir: &[u8]) -> Result<()> {
        for name in self.real.names(dir)? {
            let path = [dir, b"/", name.as_bytes()].concat();
            if self.index.contains_key(path.as_slice()) {
                continue;
            }
            match danger::name(&path, &mut |_| false) {
                None => drop(self.real.remove(&path)?),
                Some(why) => self.done.withheld.push(Withheld::at(&path, why)),
            }
        }
        Ok(())
    }

    fn link(&self, node: &Node, there: Option<&Stat>) -> Result<bool> {
        if self.is_same(node, there) {
            return Ok(false);
        }
        let path = node.path.as_slice();
        let target = self.upper.link(path)?;
        if path.split(|b| *b == b'/').next().is_some_and(danger::is_git) {
            return Err("a link in the repository leads git elsewhere".into());
        }
        if let Some(why) = danger::link(path, &target) {
            return Err(why.into());
        }
        self.real.remove(path)?;
        self.real.make_link(path, &target)?;
        Ok(true)
    }

    fn file(&mut self, node: &Node, there: Option<&Stat>) -> Result<bool> {
        let path = node.path.as_slice();
        let mut from = self.upper.file(path)?;
        if self.is_same(node, there) {
            let new = rustix::fs::fstat(&from).map_err(io::Error::from)?;
            let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
            let is_touched = there.is_some_and(|old| time(old) != time(&new));
            if is_touched {
                self.real.touch(path, &new)?;
            }
            return Ok(is_touched);
        }
        if there.is_some_and(|s| kind(s) == FileType::Directory) {
            self.real.remove(path)?;
        }
        self.real.write(path, &mut from, node.mode & 0o777, there)?;
        self.say_privileged(path, node.mode, "the file");
        Ok(true)
    }

    /// Names what a path has and does not get.
    fn say_privileged(&mut self, path: &[u8], mode: u32, what: &str) {
        if mode & PRIVILEGED != 0 {
            let why = format!("its set-user-id and set-group-id bits; {what} itself was committed");
            self.done.withheld.push(Withheld::at(path, why));
        }
    }

    /// Whether the real path already is what the agent has: it was touched, or an earlier commit wrote it.
    fn is_same(&self, node: &Node, there: Option<&Stat>) -> bool {
        let Some(there) = there else { return false };
        let path = node.path.as_slice();
        match (node.what, kind(there)) {
            (What::Link, FileType::Symlink) => {
                matches!((self.upper.link(path), self.real.link(path)), (Ok(a), Ok(b)) if a == b)
            }
            (What::File, FileType::RegularFile) if there.st_mode & 0o7777 == node.mode => {
                let (Ok(mut new), Ok(mut old)) = (self.upper.file(path), self.real.file(path)) else {
                    return false;
                };
                same_bytes(&mut new, &mut old)
            }
            _ => false,
        }
    }

    fn settle_modes(&mut self) {
        self.real.close_again();
        for (path, mode) in std::mem::take(&mut self.modes).into_iter().rev() {
            match self.real.set_mode(path, mode) {
                Ok(set) => self.say_privileged(path, mode & !set, "the directory"),
                Err(Reason { why, failed }) => {
                    let reason = Reason { why: format!("its mode: {why}"), failed };
                    self.done.withheld.push(Withheld::at(path, reason));
                }
            }
        }
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
