//! A directory of the host that is only read: the untouched workspace, or a store of git objects. It is opened once;
//! every path below it is opened relative to that descriptor, through no link and across no mount.

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Most entries that are read of one directory.
const MAX_ENTRIES: usize = 1_000_000;
/// Directories that are held open, since what comes next is usually in one of them.
const HELD: usize = 8;

const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
const COMMON: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

/// What the host says of a path.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub kind: FileType,
    pub mode: u32,
    pub size: u64,
    pub nlink: u64,
    pub ino: u64,
    pub mtime: SystemTime,
    pub ctime: SystemTime,
    pub atime: SystemTime,
    /// Whether it belongs to whom the directory itself belongs.
    pub own: bool,
}

#[derive(Debug)]
pub(super) struct Lower {
    top: OwnedFd,
    device: u64,
    owner: u32,
    /// The kernel has no `openat2`, or a container's filter refuses it: each component is opened by itself.
    stepwise: AtomicBool,
    held: Mutex<Vec<(Vec<u8>, Arc<OwnedFd>)>>,
}

impl Lower {
    pub(super) fn open(path: &Path) -> Result<Lower, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&top)?;
        Ok(Lower {
            device: stat.st_dev,
            owner: stat.st_uid,
            top,
            stepwise: AtomicBool::new(false),
            held: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// What is at a path; `ENOENT` when nothing is.
    pub(super) fn stat(&self, path: &[u8]) -> Result<Found, Errno> {
        let stat = if path.is_empty() {
            fstat(&self.top)?
        } else {
            let (dir, name) = self.parent(path)?;
            statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?
        };
        Ok(self.found(&stat))
    }

    fn found(&self, stat: &rustix::fs::Stat) -> Found {
        let time = |sec: i64, nsec: u64| {
            let nsec = Duration::from_nanos(nsec);
            let whole = Duration::from_secs(sec.unsigned_abs());
            let base = SystemTime::UNIX_EPOCH;
            let base = if sec < 0 { base.checked_sub(whole) } else { base.checked_add(whole) };
            base.and_then(|t| t.checked_add(nsec)).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        Found {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            nlink: stat.st_nlink,
            ino: stat.st_ino,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            atime: time(stat.st_atime, stat.st_atime_nsec),
            own: stat.st_uid == self.owner,
        }
    }

    /// Opens a regular file for reading.
    pub(super) fn file(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let (dir, name) = self.parent(path)?;
        let fd = openat(&dir, name, OFlags::RDONLY | COMMON, Mode::empty())?;
        // It was a file when it was looked at; a pipe in its place would wait for ever.
        let stat = fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::ACCESS);
        }
        if stat.st_dev != self.device { Err(Errno::XDEV) } else { Ok(fd) }
    }

    pub(super) fn link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(readlinkat(&dir, name, Vec::new())?.into_bytes())
    }

    /// Names in a directory, without `.` and `..`, in the host's order.
    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
        let dir = self.directory(path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&*dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() >= MAX_ENTRIES {
                return Err(Errno::OVERFLOW);
            }
            let kind = match entry.file_type() {
                // Some file systems do not tell.
                FileType::Unknown => {
                    let stat = statat(&*dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            names.push((name.to_vec(), kind));
        }
        Ok(names)
    }

    fn parent<'p>(&self, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p OsStr), Errno> {
        let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b""[..], path),
        };
        Ok((self.directory(dir)?, OsStr::from_bytes(name)))
    }

    fn directory(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let lock = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, fd)) = lock().iter().find(|(held, _)| held == path) {
            return Ok(fd.clone());
        }
        let fd = Arc::new(self.open_directory(path)?);
        let mut held = lock();
        if held.len() >= HELD {
            held.remove(0);
        }
        held.push((path.to_vec(), fd.clone()));
        Ok(fd)
    }

    fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | COMMON;
        let path = if path.is_empty() { b"." } else { path };
        if !self.stepwise.load(Relaxed) {
            match openat2(&self.top, OsStr::from_bytes(path), flags, Mode::empty(), INSIDE) {
                Err(Errno::NOSYS | Errno::PERM) => self.stepwise.store(true, Relaxed),
                opened => return opened,
            }
        }
        let mut dir = openat(&self.top, ".", flags, Mode::empty())?;
        for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".") {
            if part == b".." {
                return Err(Errno::XDEV);
            }
            dir = openat(&dir, OsStr::from_bytes(part), flags, Mode::empty())?;
            if fstat(&dir)?.st_dev != self.device {
                return Err(Errno::XDEV);
            }
        }
        Ok(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_and_nothing_above_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("top/in")).unwrap();
        std::fs::write(dir.path().join("outside"), "x").unwrap();
        std::fs::write(dir.path().join("top/in/f"), "x").unwrap();
        symlink("/etc", dir.path().join("top/etc")).unwrap();
        symlink("../outside", dir.path().join("top/out")).unwrap();
        for stepwise in [false, true] {
            let lower = Lower::open(&dir.path().join("top")).unwrap();
            lower.stepwise.store(stepwise, Relaxed);
            assert!(lower.file(b"in/f").is_ok());
            for path in [&b"../outside"[..], b"in/../../outside", b"etc/passwd", b"out", b"/etc/passwd"] {
                let opened = lower.file(path).err();
                assert!(opened.is_some(), "{}", String::from_utf8_lossy(path));
            }
            assert!(lower.list(b"etc").is_err());
            assert_eq!(lower.stat(b"etc").unwrap().kind, FileType::Symlink);
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mkfifoat(CWD, dir.path().join("fifo"), Mode::RWXU).unwrap();
        let lower = Lower::open(dir.path()).unwrap();
        assert_eq!(lower.file(b"fifo").err(), Some(Errno::ACCESS));
    }
}
