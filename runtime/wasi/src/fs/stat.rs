//! What is known of a file, and how one is opened.

use super::file::Meta;
use rustix::fs::FileType;
use std::time::SystemTime;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// `/dev/null`.
    Null,
    /// `/dev/zero`.
    Zero,
    /// `/dev/full`.
    Full,
    /// `/dev/random` and `/dev/urandom`.
    Random,
    /// A terminal of the caller's.
    Tty,
    /// A pipe, or something of the workspace that is no file and cannot be opened.
    Fifo,
}

impl Kind {
    pub(super) fn of(found: FileType) -> Kind {
        match found {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Link,
            _ => Kind::Fifo,
        }
    }

    /// Whether it is a device that characters come from or go to.
    pub fn is_device(self) -> bool {
        matches!(self, Kind::Null | Kind::Zero | Kind::Full | Kind::Random | Kind::Tty)
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Its number: of the host's file when it is untouched, else one of the tree's own.
    pub ino: u64,
    /// Names that it has.
    pub nlink: u64,
    /// When its content changed.
    pub mtime: SystemTime,
    /// When it was read; not kept up to date.
    pub atime: SystemTime,
    /// When something of it changed.
    pub ctime: SystemTime,
    /// Whether it belongs to the agent; otherwise the rights of others count for him.
    pub own: bool,
}

impl Stat {
    pub(super) fn of(kind: Kind, meta: &Meta, size: u64) -> Stat {
        Stat {
            kind,
            mode: meta.mode,
            size,
            ino: meta.ino,
            nlink: meta.nlink,
            mtime: meta.mtime,
            atime: meta.atime,
            ctime: meta.ctime,
            own: meta.own,
        }
    }

    pub(super) fn device(kind: Kind) -> Stat {
        let mode = match kind {
            Kind::Fifo => 0o600,
            Kind::Tty => 0o620,
            Kind::Dir => 0o755,
            _ => 0o666,
        };
        let time = SystemTime::UNIX_EPOCH;
        Stat { kind, mode, size: 0, ino: 1, nlink: 1, mtime: time, atime: time, ctime: time, own: false }
    }

    /// Whether the agent has these rights (4 read, 2 write, 1 execute).
    pub fn allows(&self, rights: u32) -> bool {
        (self.mode >> if self.own { 6 } else { 0 }) & rights == rights
    }
}

/// How a file is opened. Default: nothing; say at least `read` or `write`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Each write goes to the end.
    pub append: bool,
    /// It is made when it is not there.
    pub create: bool,
    /// With `create`: it may not be there.
    pub exclusive: bool,
    /// What it holds is thrown away.
    pub truncate: bool,
    /// It must be a directory.
    pub directory: bool,
    /// A link at the end of the path is not followed, but `ELOOP`.
    pub nofollow: bool,
    /// Permission bits of a new file, after the umask. Bits beyond `0o7777` do not count.
    pub mode: u32,
}

impl Open {
    /// To be read.
    pub fn read() -> Open {
        Open { read: true, ..Open::default() }
    }

    /// To be written anew: made or emptied, with these permission bits.
    pub fn create(mode: u32) -> Open {
        Open { write: true, create: true, truncate: true, mode, ..Open::default() }
    }

    /// To be written at the end: made if need be, with these permission bits.
    pub fn append(mode: u32) -> Open {
        Open { write: true, append: true, create: true, mode, ..Open::default() }
    }
}
