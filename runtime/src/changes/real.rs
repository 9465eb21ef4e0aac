//! The real directory, written by descriptor: never outside it, through no link, across no mount.

use super::layer::split;
use super::walk::{self, MAX_DEPTH, MAX_NODES};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, SeekFrom, Stat, Timestamps, Uid, chmodat,
    fchmod, fchown, fstat, futimens, mkdirat, openat, openat2, readlinkat, renameat, seek, statat, symlinkat,
    unlinkat, utimensat,
};
use rustix::io::Errno;
use std::cell::RefCell;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a path is withheld.
#[derive(Debug)]
pub(super) struct Reason {
    pub why: String,
    /// It should have been committed, and could not be.
    pub failed: bool,
}

impl From<String> for Reason {
    fn from(why: String) -> Reason {
        Reason { why, failed: false }
    }
}

impl From<&str> for Reason {
    fn from(why: &str) -> Reason {
        why.to_string().into()
    }
}

impl From<io::Error> for Reason {
    fn from(e: io::Error) -> Reason {
        Reason { why: e.to_string(), failed: true }
    }
}

pub(super) type Result<T> = std::result::Result<T, Reason>;

/// The agent saw neither links' targets outside nor what is mounted below: an overlay shows one file system.
const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A directory that need not be read.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(super) struct Real {
    top: OwnedFd,
    /// Root works in other people's directories: what it writes gets their owner.
    is_root: bool,
    /// Directories that were closed to their owner and are open meanwhile, with their modes.
    opened: RefCell<Vec<(OwnedFd, Mode)>>,
}

impl Real {
    pub(super) fn open(at: impl AsFd, path: &Path) -> io::Result<Real> {
        let top = openat(at, path, DIRECTORY, Mode::empty())?;
        Ok(Real { top, is_root: rustix::process::geteuid().is_root(), opened: RefCell::default() })
    }

    /// What is at a path; nothing, when its directory is gone too.
    pub(super) fn stat(&self, path: &[u8]) -> Result<Option<Stat>> {
        let (dir, name) = match self.parent_or_errno(path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(reason(e)),
        };
        match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(reason(e)),
        }
    }

    pub(super) fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (dir, name) = self.parent(path)?;
        Ok(readlinkat(&dir, name, Vec::new()).map_err(reason)?.into_bytes())
    }

    pub(super) fn file(&self, path: &[u8]) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = openat2(&self.top, OsStr::from_bytes(path), flags, Mode::empty(), INSIDE);
        Ok(File::from(file.map_err(reason)?))
    }

    pub(super) fn names(&self, dir: &[u8]) -> Result<Vec<CString>> {
        Ok(walk::names(&self.directory(dir)?, MAX_NODES)?)
    }

    /// Makes a directory that only its owner can use, until [`Real::set_mode`].
    pub(super) fn make_directory(&self, path: &[u8]) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.within(&dir, || mkdirat(&dir, name, Mode::RWXU)).map_err(reason)?;
        self.adopt(&self.directory(path)?, &dir, None)
    }

    /// Sets a directory's permissions; whether it is set-group-id stays, which the directory around it decides. What the
    /// directory then is.
    pub(super) fn set_mode(&self, path: &[u8], mode: u32) -> Result<u32> {
        // Its owner may not be able to read it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            openat2(&self.top, OsStr::from_bytes(path), flags, Mode::empty(), INSIDE).map_err(reason)?;
        let beyond = fstat(&dir).map_err(reason)?.st_mode & 0o6000;
        let place = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let mode = beyond | (mode & 0o1777);
        chmodat(CWD, place, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(reason)?;
        Ok(mode)
    }

    /// Gives a file the times of the agent's.
    pub(super) fn touch(&self, path: &[u8], new: &Stat) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        utimensat(&dir, name, &times(new), AtFlags::SYMLINK_NOFOLLOW).map_err(reason)
    }

    pub(super) fn make_link(&self, path: &[u8], target: &[u8]) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.within(&dir, || symlinkat(OsStr::from_bytes(target), &dir, name)).map_err(reason)?;
        if let Some((user, group)) = self.owner(&dir, None)? {
            let _ = rustix::fs::chownat(&dir, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
        }
        Ok(())
    }

    /// Writes beside the file and renames: a reader sees the old one or the new one, and a link is replaced, never
    /// followed. Holes stay holes.
    pub(super) fn write(&self, path: &[u8], from: &mut File, mode: u32, old: Option<&Stat>) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        let (temporary, to) = self.within(&dir, || create_beside(&dir)).map_err(reason)?;
        let written = (|| {
            let to = File::from(to);
            copy(from, &to)?;
            self.adopt(&to, &dir, old)?;
            fchmod(&to, Mode::from_raw_mode(mode)).map_err(reason)?;
            let stat = fstat(&*from).map_err(reason)?;
            futimens(&to, &times(&stat)).map_err(reason)?;
            renameat(&dir, temporary.as_str(), &dir, name).map_err(reason)
        })();
        if written.is_err() {
            let _ = unlinkat(&dir, temporary.as_str(), AtFlags::empty());
        }
        written
    }

    /// Removes what is at a path, directories with all that they hold; false when there was nothing.
    pub(super) fn remove(&self, path: &[u8]) -> Result<bool> {
        match self.parent_or_errno(path) {
            Ok((dir, name)) => self.remove_from(&dir, name, 0),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(reason(e)),
        }
    }

    fn remove_from(&self, dir: &OwnedFd, name: &OsStr, depth: usize) -> Result<bool> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other(format!("deeper than {MAX_DEPTH} directories")).into());
        }
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(e) => return Err(reason(e)),
        };
        let unlink = |flags| self.within(dir, || unlinkat(dir, name, flags)).map_err(reason);
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            unlink(AtFlags::empty())?;
            return Ok(true);
        }
        let open = |flags| openat2(dir, name, flags, Mode::empty(), INSIDE);
        let child = match open(DIRECTORY) {
            // It need not be read by its owner.
            Err(Errno::ACCESS) if self.open_up(open(PLACE).map_err(reason)?) => open(DIRECTORY),
            other => other,
        };
        let child = child.map_err(reason)?;
        for inner in walk::names(&child, MAX_NODES)? {
            self.remove_from(&child, OsStr::from_bytes(inner.as_bytes()), depth + 1)?;
        }
        unlink(AtFlags::REMOVEDIR)?;
        Ok(true)
    }

    /// Does something in a directory, which is opened to its owner if it must: the agent could do so too.
    fn within<T>(
        &self,
        dir: &OwnedFd,
        act: impl Fn() -> std::result::Result<T, Errno>,
    ) -> std::result::Result<T, Errno> {
        match act() {
            Err(Errno::ACCESS) if dir.try_clone().is_ok_and(|dir| self.open_up(dir)) => act(),
            other => other,
        }
    }

    /// Opens a directory to its owner, until [`Real::close_again`]; false when that is not us. The workspace itself stays as
    /// closed as its owner wants it: an overlay shows the mode of its upper directory there.
    fn open_up(&self, dir: OwnedFd) -> bool {
        let (Ok(stat), Ok(top)) = (fstat(&dir), fstat(&self.top)) else { return false };
        if (stat.st_dev, stat.st_ino) == (top.st_dev, top.st_ino) {
            return false;
        }
        let before = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let is_opened = !before.contains(Mode::RWXU) && chmod(&dir, before | Mode::RWXU).is_ok();
        if is_opened {
            self.opened.borrow_mut().push((dir, before));
        }
        is_opened
    }

    /// Gives the directories that were opened their modes.
    pub(super) fn close_again(&self) {
        for (dir, mode) in self.opened.take().into_iter().rev() {
            // It may be gone.
            let _ = chmod(&dir, mode);
        }
    }

    fn directory(&self, path: &[u8]) -> Result<OwnedFd> {
        openat2(&self.top, OsStr::from_bytes(path), DIRECTORY, Mode::empty(), INSIDE).map_err(reason)
    }

    fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p OsStr)> {
        self.parent_or_errno(path).map_err(reason)
    }

    fn parent_or_errno<'p>(&self, path: &'p [u8]) -> std::result::Result<(OwnedFd, &'p OsStr), Errno> {
        let (parent, name) = split(path);
        let parent = if parent.is_empty() { b"." } else { parent };
        let dir = openat2(&self.top, OsStr::from_bytes(parent), DIRECTORY, Mode::empty(), INSIDE)?;
        Ok((dir, OsStr::from_bytes(name)))
    }

    /// Gives what root wrote to the owner of what it replaces, or else of the directory around it.
    fn adopt(&self, new: impl AsFd, dir: &OwnedFd, old: Option<&Stat>) -> Result<()> {
        if let Some((user, group)) = self.owner(dir, old)? {
            // Root without the right to do so (a container's) keeps the file.
            let _ = fchown(new, Some(user), Some(group));
        }
        Ok(())
    }

    fn owner(&self, dir: &OwnedFd, old: Option<&Stat>) -> Result<Option<(Uid, Gid)>> {
        if !self.is_root {
            return Ok(None);
        }
        let around = fstat(dir).map_err(reason)?;
        let stat = old.unwrap_or(&around);
        Ok(Some((Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))))
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time = |sec: i64, nsec| rustix::fs::Timespec { tv_sec: sec, tv_nsec: nsec };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as _),
    }
}

/// A new file under a name that nothing has.
fn create_beside(dir: &OwnedFd) -> std::result::Result<(String, OwnedFd), Errno> {
    /// Names that are tried: an agent may have made files of such names.
    const TRIES: u32 = 100;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut last = Errno::EXIST;
    for _ in 0..TRIES {
        let name = format!(".sbx-commit-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match openat(dir, name.as_str(), flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((name, file)),
            Err(Errno::EXIST) => {}
            Err(e) => {
                last = e;
                break;
            }
        }
    }
    Err(last)
}

/// Copies a file without writing its holes: a sparse file of any length costs only what it holds.
fn copy(from: &mut File, to: &File) -> io::Result<()> {
    let length = from.metadata()?.len();
    let mut at = 0;
    while at < length {
        let start = match seek(&*from, SeekFrom::Data(at)) {
            // What somebody appends meanwhile is not of this copy.
            Ok(start) if start < length => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(e) => return Err(e.into()),
        };
        let end = seek(&*from, SeekFrom::Hole(start))?.min(length);
        seek(&*from, SeekFrom::Start(start))?;
        seek(to, SeekFrom::Start(start))?;
        io::copy(&mut from.take(end - start), &mut &*to)?;
        at = end;
    }
    to.set_len(length)
}

/// Sets the mode of a directory that may be open as a place only.
fn chmod(dir: &OwnedFd, mode: Mode) -> std::result::Result<(), Errno> {
    chmodat(CWD, format!("/proc/self/fd/{}", dir.as_raw_fd()), mode, AtFlags::empty())
}

/// What an error means for somebody who reads the list of withheld paths.
fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::LOOP | Errno::NOTDIR => "its directory was replaced by a link or a file meanwhile".into(),
        Errno::XDEV => "another file system is mounted there".into(),
        Errno::NOENT => Reason { why: "its directory is gone".into(), failed: true },
        other => io::Error::from(other).into(),
    }
}
