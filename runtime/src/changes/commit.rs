//! The filtering commit: the agent's changes, applied to the real directory, but for what could harm its owner.

use super::walk::{What, open_file, open_parent};
use super::{Changes, walk};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, renameat, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Paths that were written or removed, relative to the workspace.
    pub committed: Vec<PathBuf>,
    /// Paths that were not.
    pub withheld: Vec<Withheld>,
}

/// A path that was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
}

/// Directories and files of `.git` that make git run a program or look elsewhere.
const GIT_CODE: [&[u8]; 6] =
    [b"hooks", b"config", b"config.worktree", b"info/attributes", b"modules", b"commondir"];

pub(super) fn commit(changes: &Changes, real: &Path) -> io::Result<Commit> {
    let mut done = Commit::default();
    let Some(upper) = &changes.upper else { return Ok(done) };
    let top = openat(CWD, real, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut skip: Option<&[u8]> = None;
    for node in &changes.nodes {
        if skip.is_some_and(|dir| beneath(dir, &node.path)) {
            continue;
        }
        let path = PathBuf::from(OsStr::from_bytes(&node.path));
        if let Some(why) = forbidden(&node.path) {
            // A directory is named once, not with all that is in it.
            if matches!(node.what, What::Directory { .. }) {
                skip = Some(&node.path);
                if node.path.split(|b| *b == b'/').next() == Some(b".git") && exists(&top, &node.path) {
                    // Copied up because something below it was touched: the files below are named.
                    skip = None;
                    continue;
                }
            }
            done.withheld.push(Withheld { path, why: why.into() });
            continue;
        }
        match apply(upper, &top, node) {
            Ok(true) => done.committed.push(path),
            Ok(false) => {}
            Err(why) => {
                if matches!(node.what, What::Directory { .. }) {
                    skip = Some(&node.path);
                }
                done.withheld.push(Withheld { path, why });
            }
        }
    }
    Ok(done)
}

fn beneath(dir: &[u8], path: &[u8]) -> bool {
    path.len() > dir.len() && path.starts_with(dir) && path[dir.len()] == b'/'
}

/// Why a path may not be written, whatever it holds.
fn forbidden(path: &[u8]) -> Option<&'static str> {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let is_git = |part: &&[u8]| part.eq_ignore_ascii_case(b".git");
    let at = parts.iter().position(is_git)?;
    if at > 0 {
        return Some("a git directory inside the workspace could run code in later git commands");
    }
    if parts.len() == 1 {
        return None;
    }
    let rest = &path[5..];
    let code = GIT_CODE
        .iter()
        .any(|code| rest.eq_ignore_ascii_case(code) || beneath(code, &rest.to_ascii_lowercase()));
    code.then_some("git would run or follow what it says")
}

/// Applies one node; false when there was nothing to do.
fn apply(upper: &OwnedFd, top: &OwnedFd, node: &walk::Node) -> Result<bool, String> {
    let fault = |e: io::Error| e.to_string();
    let (dir, name) = real_parent(top, &node.path).map_err(fault)?;
    let name = OsStr::from_bytes(&name);
    let there = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => None,
        Err(e) => return Err(e.to_string()),
    };
    match &node.what {
        What::Special(what) => Err(format!("{what} is not taken out of the sandbox")),
        What::Whiteout => {
            if node.path == b".git" {
                return Err("the repository itself is not removed".into());
            }
            remove(&dir, name, there).map_err(fault)
        }
        What::Directory { opaque } => {
            if *opaque && there.is_some() {
                remove(&dir, name, there).map_err(fault)?;
            } else if there.is_some_and(|t| t == FileType::Directory) {
                return Ok(false);
            } else {
                remove(&dir, name, there).map_err(fault)?;
            }
            mkdirat(&dir, name, Mode::from_raw_mode(0o755)).map_err(|e| e.to_string())?;
            Ok(true)
        }
        What::Link => {
            let (from, base) = open_parent(upper.as_fd(), &node.path).map_err(fault)?;
            let target = rustix::fs::readlinkat(&from, OsStr::from_bytes(&base), Vec::new())
                .map_err(|e| e.to_string())?;
            if !stays_inside(&node.path, target.as_bytes()) {
                return Err(format!(
                    "a link that leads out of the workspace, to {}",
                    target.to_string_lossy()
                ));
            }
            if there == Some(FileType::Symlink)
                && rustix::fs::readlinkat(&dir, name, Vec::new()).is_ok_and(|old| old == target)
            {
                return Ok(false);
            }
            remove(&dir, name, there).map_err(fault)?;
            symlinkat(&target, &dir, name).map_err(|e| e.to_string())?;
            Ok(true)
        }
        What::File { executable, privileged } => {
            if *privileged {
                return Err("a set-user-id or set-group-id file".into());
            }
            if there == Some(FileType::Directory) {
                remove(&dir, name, there).map_err(fault)?;
            }
            copy(upper, node, &dir, name, *executable).map_err(fault)
        }
    }
}

/// Opens the real directory of a path: beneath the workspace and through no link, whatever was planted there.
fn real_parent(top: &OwnedFd, path: &[u8]) -> io::Result<(OwnedFd, Vec<u8>)> {
    let at = path.iter().rposition(|b| *b == b'/');
    let (parent, name) = at.map_or((&b"."[..], path), |i| (&path[..i], &path[i + 1..]));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let dir = openat2(top, OsStr::from_bytes(parent), flags, Mode::empty(), resolve)?;
    Ok((dir, name.to_vec()))
}

/// Writes beside the file and renames: a reader sees the old or the new one, and a link is replaced, never followed.
fn copy(
    upper: &OwnedFd,
    node: &walk::Node,
    dir: &OwnedFd,
    name: &OsStr,
    executable: bool,
) -> io::Result<bool> {
    let mut from = File::from(open_file(upper, &node.path)?);
    let temporary = format!(".sbx-commit-{}", std::process::id());
    let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = (|| {
        let mut to = File::from(openat(dir, temporary.as_str(), flags, mode)?);
        io::copy(&mut from, &mut to)?;
        renameat(dir, temporary.as_str(), dir, name)?;
        Ok(true)
    })();
    if written.is_err() {
        let _ = unlinkat(dir, temporary.as_str(), AtFlags::empty());
    }
    written
}

fn exists(top: &OwnedFd, path: &[u8]) -> bool {
    statat(top, OsStr::from_bytes(path), AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Removes what is there, directories with all that they hold; false when there was nothing.
fn remove(dir: &OwnedFd, name: &OsStr, there: Option<FileType>) -> io::Result<bool> {
    match there {
        None => Ok(false),
        Some(FileType::Directory) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let child = openat(dir, name, flags, Mode::empty())?;
            for entry in rustix::fs::Dir::read_from(&child)? {
                let entry = entry?;
                let inner = entry.file_name();
                if inner == c"." || inner == c".." {
                    continue;
                }
                let stat = statat(&child, inner, AtFlags::SYMLINK_NOFOLLOW)?;
                let kind = FileType::from_raw_mode(stat.st_mode);
                remove(&child, OsStr::from_bytes(inner.to_bytes()), Some(kind))?;
            }
            unlinkat(dir, name, AtFlags::REMOVEDIR)?;
            Ok(true)
        }
        Some(_) => {
            unlinkat(dir, name, AtFlags::empty())?;
            Ok(true)
        }
    }
}

/// Whether a link at `path` to `target` stays in the workspace, read as text: relative, and never above the top.
fn stays_inside(path: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target[0] == b'/' {
        return false;
    }
    let mut depth = path.iter().filter(|b| **b == b'/').count();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            // Into the repository: git would read what the agent wrote elsewhere.
            b".git" => return false,
            _ => depth += 1,
        }
    }
    true
}
