//! One layer of the overlay, opened by descriptor: each step follows no link, whatever the names were bent into.

use super::walk::{self, What};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, chmodat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that are compared at one time.
const COMPARED: usize = 64 << 10;

/// What a git tree records of a path, but for its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    File { executable: bool },
    Link,
}

/// Contents of an upper layer that is no directory of the host.
pub trait Contents: std::fmt::Debug + Send + Sync {
    /// The content of a regular file, in a file of its own.
    ///
    /// # Errors
    /// It cannot be read, or there is none of this path.
    fn file(&self, path: &[u8]) -> io::Result<File>;

    /// What a symbolic link holds.
    ///
    /// # Errors
    /// There is none of this path.
    fn link(&self, path: &[u8]) -> io::Result<Vec<u8>>;
}

/// The upper or the lower directory.
#[derive(Debug)]
pub(super) struct Layer {
    top: Top,
    owned: bool,
}

#[derive(Debug)]
enum Top {
    Directory(OwnedFd),
    Held(Box<dyn Contents>),
}

impl Layer {
    /// The upper directory. It is ours: rights that the agent took from itself (`chmod 000`) are given back.
    pub(super) fn upper(top: OwnedFd) -> Layer {
        Layer { top: Top::Directory(top), owned: true }
    }

    /// An upper layer that is held elsewhere; its paths are known already.
    pub(super) fn held(contents: Box<dyn Contents>) -> Layer {
        Layer { top: Top::Held(contents), owned: true }
    }

    /// The lower directory. Nothing in it is ever changed, its modes neither.
    pub(super) fn lower(path: &Path) -> io::Result<Layer> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Layer { top: Top::Directory(openat(CWD, path, flags, Mode::empty())?), owned: false })
    }

    /// The lower directory of which this is a descriptor.
    pub(super) fn of_lower(held: &OwnedFd) -> io::Result<Layer> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Layer { top: Top::Directory(openat(held, ".", flags, Mode::empty())?), owned: false })
    }

    /// Opens the top directory for reading.
    pub(super) fn open_top(&self) -> io::Result<OwnedFd> {
        match &self.top {
            Top::Directory(top) => self.open_dir(top.as_fd(), b"."),
            Top::Held(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Opens a directory below another one.
    pub(super) fn open_dir(&self, at: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
        self.open(at, name, OFlags::DIRECTORY, Mode::RWXU)
    }

    /// Opens a regular file.
    pub(super) fn file(&self, path: &[u8]) -> io::Result<File> {
        if let Top::Held(contents) = &self.top {
            return contents.file(path);
        }
        let (dir, name) = self.parent(path)?;
        let file = self.open(dir.as_fd(), name, OFlags::empty(), Mode::RUSR)?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(io::Error::other("no longer a regular file")),
        }
    }

    /// Reads where a link leads, without going there.
    pub(super) fn link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        if let Top::Held(contents) = &self.top {
            return contents.link(path);
        }
        let (dir, name) = self.parent(path)?;
        Ok(readlinkat(&dir, OsStr::from_bytes(name), Vec::new())?.into_bytes())
    }

    /// What is at a path, when it is a file or link.
    pub(super) fn side(&self, path: &[u8]) -> io::Result<Option<Side>> {
        let Some((dir, name)) = present(self.parent(path))? else { return Ok(None) };
        let stat = statat(&dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW);
        let Some(stat) = present(stat.map_err(io::Error::from))? else { return Ok(None) };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(Side::File { executable: stat.st_mode & 0o100 != 0 }),
            FileType::Symlink => Some(Side::Link),
            _ => None,
        })
    }

    /// Hands out every file and link at or beneath a path.
    pub(super) fn files(&self, path: &[u8], seen: &mut dyn FnMut(Vec<u8>, Side)) -> io::Result<()> {
        if let Some(side) = self.side(path)? {
            seen(path.to_vec(), side);
            return Ok(());
        }
        let Some((dir, name)) = present(self.parent(path))? else { return Ok(()) };
        let Some(dir) = present(self.open_dir(dir.as_fd(), name))? else { return Ok(()) };
        for node in walk::beneath(self, &dir, path)? {
            match node.what {
                What::File => seen(node.path, Side::File { executable: node.mode & 0o100 != 0 }),
                What::Link => seen(node.path, Side::Link),
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the directory of a relative path, component by component.
    fn parent<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
        let (parent, name) = split(path);
        let mut dir = self.open_top()?;
        for part in parent.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
            dir = self.open_dir(dir.as_fd(), part)?;
        }
        Ok((dir, name))
    }

    fn open(&self, at: BorrowedFd<'_>, name: &[u8], more: OFlags, give: Mode) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | more;
        match openat(at, name, flags, Mode::empty()) {
            Err(Errno::ACCESS) if self.owned => {
                // The mode is changed through a descriptor, so that it is the inode looked at and not another one that
                // took its name meanwhile.
                let held =
                    openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
                let stat = fstat(&held)?;
                let kind = FileType::from_raw_mode(stat.st_mode);
                if !matches!(kind, FileType::RegularFile | FileType::Directory) {
                    return Err(Errno::ACCESS.into());
                }
                let mode = Mode::from_raw_mode(stat.st_mode & 0o7777) | give;
                chmodat(CWD, format!("/proc/self/fd/{}", held.as_raw_fd()), mode, AtFlags::empty())?;
                Ok(openat(at, name, flags, Mode::empty())?)
            }
            other => Ok(other?),
        }
    }
}

/// Whether two files hold the same bytes. Their contents are streamed; a failure to read counts as a difference.
pub(super) fn same_bytes(one: &mut File, other: &mut File) -> bool {
    let size = |f: &File| f.metadata().map(|m| m.len());
    if !matches!((size(one), size(other)), (Ok(a), Ok(b)) if a == b) {
        return false;
    }
    let (mut a, mut b) = (vec![0; COMPARED], vec![0; COMPARED]);
    loop {
        let Ok(read) = one.read(&mut a) else { return false };
        if read == 0 {
            return matches!(other.read(&mut b), Ok(0));
        }
        if other.read_exact(&mut b[..read]).is_err() || a[..read] != b[..read] {
            return false;
        }
    }
}

/// Splits a relative path into its directory and its last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// What is not there, or lies behind a link or file, is no error. What may not be seen is not there either.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) => match Errno::from_io_error(&e) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
            _ => Err(e),
        },
    }
}
