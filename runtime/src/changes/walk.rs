//! Walks directories by descriptor, following no link.

use super::{Content, MAX_PATCH_FILE, Version};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fgetxattr, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Deepest directory that is read.
const MAX_DEPTH: usize = 256;
/// Most changed paths that are read.
const MAX_NODES: usize = 2_000_000;

/// A path of the upper directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Relative to the workspace, without a leading slash.
    pub path: Vec<u8>,
    pub what: What,
}

/// What a path of the upper directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    File {
        executable: bool,
        privileged: bool,
    },
    Link,
    /// Opaque: nothing of the lower directory shows through.
    Directory {
        opaque: bool,
    },
    /// The lower path is gone.
    Whiteout,
    /// A device, socket or pipe, by name.
    Special(&'static str),
}

/// All nodes, parents before children, each directory in byte order.
pub(super) fn walk(upper: &OwnedFd) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let top = open_dir(upper.as_fd(), b".")?;
    descend(&top, &mut Vec::new(), 0, &mut nodes)?;
    Ok(nodes)
}

fn descend(dir: &OwnedFd, path: &mut Vec<u8>, depth: usize, nodes: &mut Vec<Node>) -> io::Result<()> {
    if depth > MAX_DEPTH {
        let shown = String::from_utf8_lossy(path);
        return Err(io::Error::other(format!("{shown}: deeper than {MAX_DEPTH} directories")));
    }
    for name in names(dir)? {
        if nodes.len() >= MAX_NODES {
            return Err(io::Error::other(format!("more than {MAX_NODES} changed paths")));
        }
        let stat = statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let before = path.len();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name.as_bytes());
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_size == 0 && is_marked_whiteout(dir.as_fd(), &name) => {
                What::Whiteout
            }
            FileType::RegularFile => {
                What::File { executable: stat.st_mode & 0o100 != 0, privileged: stat.st_mode & 0o6000 != 0 }
            }
            FileType::Symlink => What::Link,
            FileType::Directory => What::Directory { opaque: false },
            FileType::CharacterDevice if stat.st_rdev == 0 => What::Whiteout,
            FileType::CharacterDevice | FileType::BlockDevice => What::Special("a device"),
            FileType::Fifo => What::Special("a named pipe"),
            FileType::Socket => What::Special("a socket"),
            FileType::Unknown => What::Special("of unknown type"),
        };
        let at = nodes.len();
        let is_directory = matches!(what, What::Directory { .. });
        nodes.push(Node { path: path.clone(), what });
        if is_directory {
            let child = open_dir(dir.as_fd(), name.as_bytes())?;
            nodes[at].what = What::Directory { opaque: is_opaque(&child) };
            descend(&child, path, depth + 1, nodes)?;
        }
        path.truncate(before);
    }
    Ok(())
}

fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Opens a directory for reading. The owner may have taken its own right away (`chmod 000`): then it is given back.
fn open_dir(at: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    open(at, name, OFlags::DIRECTORY, Mode::RWXU)
}

fn open(at: BorrowedFd<'_>, name: &[u8], more: OFlags, give: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | more;
    match openat(at, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Between the look and the change nothing runs in the sandbox, and chmodat follows no link to the outside:
            // a link would have been refused with ELOOP above.
            let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777) | give;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return Err(Errno::LOOP.into());
            }
            rustix::fs::chmodat(at, name, mode, AtFlags::empty())?;
            Ok(openat(at, name, flags, Mode::empty())?)
        }
        other => Ok(other?),
    }
}

fn is_opaque(dir: &OwnedFd) -> bool {
    has_attribute(dir.as_fd(), &["user.overlay.opaque", "trusted.overlay.opaque"])
}

/// A whiteout in the form of an empty file with a mark (Linux 6.7).
fn is_marked_whiteout(dir: BorrowedFd<'_>, name: &CString) -> bool {
    let file = openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    );
    file.is_ok_and(|f| has_attribute(f.as_fd(), &["user.overlay.whiteout", "trusted.overlay.whiteout"]))
}

fn has_attribute(fd: BorrowedFd<'_>, names: &[&str]) -> bool {
    let mut value = [0u8; 8];
    names.iter().any(|name| fgetxattr(fd, *name, &mut value[..]).is_ok())
}

/// Splits a relative path into its directory and its last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Opens the directory of a relative path, component by component, following no link.
pub(super) fn open_parent(top: BorrowedFd<'_>, path: &[u8]) -> io::Result<(OwnedFd, Vec<u8>)> {
    let (parent, name) = split(path);
    let mut dir = open_dir(top, b".")?;
    for part in parent.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
        dir = open_dir(dir.as_fd(), part)?;
    }
    Ok((dir, name.to_vec()))
}

/// Opens a regular file of the upper directory for reading.
pub(super) fn open_file(top: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let (dir, name) = open_parent(top.as_fd(), path)?;
    open(dir.as_fd(), &name, OFlags::empty(), Mode::RUSR)
}

/// The version that the upper directory has of a file or link.
pub(super) fn version(upper: &OwnedFd, node: &Node) -> io::Result<Version> {
    let (dir, name) = open_parent(upper.as_fd(), &node.path)?;
    Ok(match &node.what {
        What::File { executable, .. } => {
            let file = open(dir.as_fd(), &name, OFlags::empty(), Mode::RUSR)?;
            Version::File { executable: *executable, content: content(file)? }
        }
        _ => Version::Link(readlinkat(&dir, OsStr::from_bytes(&name), Vec::new())?.into_bytes()),
    })
}

fn content(file: OwnedFd) -> io::Result<Content> {
    let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
    if size > MAX_PATCH_FILE {
        return Ok(Content::TooLarge(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    std::fs::File::from(file).take(MAX_PATCH_FILE).read_to_end(&mut bytes)?;
    Ok(Content::Bytes(bytes))
}

/// The untouched directory below.
pub(super) struct Lower(OwnedFd);

impl Lower {
    pub(super) fn open(path: &Path) -> io::Result<Lower> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Lower(openat(CWD, path, flags, Mode::empty())?))
    }

    /// The version of a path, if it is a file or link here.
    pub(super) fn version(&self, path: &[u8]) -> io::Result<Option<Version>> {
        let Some((dir, name)) = self.parent(path)? else { return Ok(None) };
        let stat = match statat(&dir, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = open(dir.as_fd(), &name, OFlags::empty(), Mode::empty())?;
                Some(Version::File { executable: stat.st_mode & 0o100 != 0, content: content(file)? })
            }
            FileType::Symlink => {
                Some(Version::Link(readlinkat(&dir, OsStr::from_bytes(&name), Vec::new())?.into_bytes()))
            }
            _ => None,
        })
    }

    /// Hands out every file and link at or beneath a path.
    pub(super) fn files(&self, path: &[u8], seen: &mut dyn FnMut(Vec<u8>, Version)) -> io::Result<()> {
        if let Some(version) = self.version(path)? {
            seen(path.to_vec(), version);
            return Ok(());
        }
        let Some((dir, name)) = self.parent(path)? else { return Ok(()) };
        let Ok(dir) = open_dir(dir.as_fd(), &name) else { return Ok(()) };
        let mut nodes = Vec::new();
        descend(&dir, &mut path.to_vec(), 0, &mut nodes)?;
        for node in nodes {
            if let Some(version) = self.version(&node.path)? {
                seen(node.path, version);
            }
        }
        Ok(())
    }

    fn parent(&self, path: &[u8]) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        match open_parent(self.0.as_fd(), path) {
            Ok(found) => Ok(Some(found)),
            Err(e)
                if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}
