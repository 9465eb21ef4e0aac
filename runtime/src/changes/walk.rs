//! Walks a layer by descriptor, in bounded depth and number.

use super::layer::Layer;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fgetxattr, openat, statat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Deepest directory that is read.
pub(super) const MAX_DEPTH: usize = 256;
/// Most paths that are read of one layer.
pub(super) const MAX_NODES: usize = 2_000_000;

/// A path of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Relative to the workspace, without a leading slash.
    pub path: Vec<u8>,
    /// Permission bits, with those for set-user-id and set-group-id.
    pub mode: u32,
    /// What is there.
    pub what: What,
}

/// What a path of a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory {
        /// Nothing of the lower directory shows through.
        opaque: bool,
    },
    /// The lower path is gone.
    Whiteout,
    /// A device, socket or pipe, by name.
    Special(&'static str),
}

/// All nodes of a layer, parents before children, each directory in byte order.
pub(super) fn walk(layer: &Layer) -> io::Result<Vec<Node>> {
    beneath(layer, &layer.open_top()?, b"")
}

/// All nodes beneath a directory whose path is `path`.
pub(super) fn beneath(layer: &Layer, dir: &OwnedFd, path: &[u8]) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    descend(layer, dir, &mut path.to_vec(), 0, &mut nodes)?;
    Ok(nodes)
}

fn descend(
    layer: &Layer,
    dir: &OwnedFd,
    path: &mut Vec<u8>,
    depth: usize,
    nodes: &mut Vec<Node>,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        let shown = String::from_utf8_lossy(path);
        return Err(io::Error::other(format!("{shown}: deeper than {MAX_DEPTH} directories")));
    }
    for name in names(dir, MAX_NODES - nodes.len())? {
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
            FileType::RegularFile => What::File,
            FileType::Symlink => What::Link,
            FileType::Directory => What::Directory { opaque: false },
            FileType::CharacterDevice if stat.st_rdev == 0 => What::Whiteout,
            FileType::CharacterDevice | FileType::BlockDevice => What::Special("a device"),
            FileType::Fifo => What::Special("a named pipe"),
            FileType::Socket => What::Special("a socket"),
            FileType::Unknown => What::Special("of unknown type"),
        };
        let at = nodes.len();
        if at >= MAX_NODES {
            return Err(too_many());
        }
        nodes.push(Node { path: path.clone(), mode: stat.st_mode & 0o7777, what });
        if let What::Directory { .. } = what {
            match layer.open_dir(dir.as_fd(), name.as_bytes()) {
                Ok(child) => {
                    nodes[at].what = What::Directory { opaque: is_opaque(&child) };
                    descend(layer, &child, path, depth + 1, nodes)?;
                }
                // Of the lower directory only: in the upper one, rights were given back.
                Err(e) if Errno::from_io_error(&e) == Some(Errno::ACCESS) => {}
                Err(e) => return Err(e),
            }
        }
        path.truncate(before);
    }
    Ok(())
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &OwnedFd, most: usize) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            if names.len() >= most {
                return Err(too_many());
            }
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn too_many() -> io::Error {
    io::Error::other(format!("more than {MAX_NODES} changed paths"))
}

/// Only the value `y` is opaque: `x` says that whiteouts inside are marked files (Linux 6.7).
fn is_opaque(dir: &OwnedFd) -> bool {
    let is = |name| attribute(dir.as_fd(), name).as_deref() == Some(b"y");
    is("user.overlay.opaque") || is("trusted.overlay.opaque")
}

/// A whiteout in the form of an empty file with a mark (Linux 6.7).
fn is_marked_whiteout(dir: BorrowedFd<'_>, name: &CString) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(dir, name, flags, Mode::empty());
    let names = ["user.overlay.whiteout", "trusted.overlay.whiteout"];
    file.is_ok_and(|f| names.iter().any(|n| attribute(f.as_fd(), n).is_some()))
}

/// A short extended attribute, when it is there.
fn attribute(fd: BorrowedFd<'_>, name: &str) -> Option<Vec<u8>> {
    let mut value = [0u8; 8];
    let length = fgetxattr(fd, name, &mut value[..]).ok()?;
    Some(value[..length].to_vec())
}
