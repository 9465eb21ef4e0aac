//! What a file of the host was when it was looked at: a view holds as long as all of its files are what they were. Whether
//! they are is looked at by `front/stamps.rs`.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, open, stat, statat};
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file or directory that was looked at, and what it was then.
#[derive(PartialEq, Eq, Serialize)]
pub(super) struct Stamp {
    path: PathBuf,
    /// Device, inode, size, modification and change time; `None` where there was nothing.
    was: Option<[i64; 7]>,
}

impl Stamp {
    pub(super) fn of(path: &Path, eye: &mut Eye) -> Stamp {
        let was = eye.look(path).ok().map(|m| {
            let (dev, ino) = (m.st_dev.cast_signed(), m.st_ino.cast_signed());
            let (mtime, ctime) = (m.st_mtime_nsec.cast_signed(), m.st_ctime_nsec.cast_signed());
            [dev, ino, m.st_size, m.st_mtime, mtime, m.st_ctime, ctime]
        });
        Stamp { path: path.into(), was }
    }

    /// A line of a record: what it was, a space, and its path.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = Stamp::text(self.was).into_bytes();
        line.push(b' ');
        line.extend(self.path.as_os_str().as_bytes());
        line
    }

    fn text(was: Option<[i64; 7]>) -> String {
        let signed = |n: i64| if n < 0 { format!("-{:x}", n.unsigned_abs()) } else { format!("{n:x}") };
        was.map_or_else(|| "-".into(), |numbers| numbers.map(signed).join(","))
    }
}

/// Looks at one file after the other; those of a directory are looked up from there, not each from the root.
#[derive(Default)]
pub(super) struct Eye {
    dir: Option<(PathBuf, OwnedFd)>,
}

impl Eye {
    fn look(&mut self, path: &Path) -> io::Result<Stat> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(stat(path)?) };
        if self.dir.as_ref().is_none_or(|(dir, _)| dir.as_os_str() != parent) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.dir = Some((parent.into(), open(parent, flags, Mode::empty())?));
        }
        let dir = self.dir.as_ref().map_or(CWD, |(_, fd)| fd.as_fd());
        Ok(statat(dir, name, AtFlags::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_line_holds_until_its_file_changes() {
        use crate::stamps::hold;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("with space");
        let mut eye = Eye::default();
        let absent = Stamp::of(&file, &mut eye).line();
        assert!(hold(&absent));
        fs::write(&file, "one").unwrap();
        assert!(!hold(&absent));
        // From before 1970: a negative number.
        fs::File::open(&file)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_secs(9))
            .unwrap();
        let line = Stamp::of(&file, &mut eye).line();
        assert!(hold(&line), "{}", String::from_utf8_lossy(&line));
        fs::write(&file, "two").unwrap();
        assert!(!hold(&line));
        assert!(!hold(b"no line"));
    }
}
