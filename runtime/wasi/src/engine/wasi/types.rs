//! The numbers and records of `wasi_snapshot_preview1` (its `witx` file, WebAssembly/WASI).

use crate::fs::{Kind, Stat};
use rustix::io::Errno;
use std::time::{Duration, SystemTime};

/// `rights`: a file's data can be read.
pub(super) const FD_READ: u64 = 1 << 1;
pub(super) const FD_SEEK: u64 = 1 << 2;
pub(super) const FD_TELL: u64 = 1 << 5;
pub(super) const FD_WRITE: u64 = 1 << 6;
pub(super) const FD_READDIR: u64 = 1 << 14;
/// All rights that there are.
pub(super) const ALL_RIGHTS: u64 = (1 << 30) - 1;

/// `oflags`.
pub(super) const CREAT: u32 = 1;
pub(super) const DIRECTORY: u32 = 2;
pub(super) const EXCL: u32 = 4;
pub(super) const TRUNC: u32 = 8;
/// `fdflags`.
pub(super) const APPEND: u16 = 1;
/// `lookupflags`.
pub(super) const FOLLOW: u32 = 1;

/// Most entries of a vector of buffers, as on Linux.
pub(super) const IOV_MAX: u32 = 1024;

/// The number of an error.
pub(in crate::engine) fn errno(errno: Errno) -> u32 {
    match errno {
        Errno::TOOBIG => 1,
        Errno::ACCESS => 2,
        Errno::AGAIN => 6,
        Errno::BADF => 8,
        Errno::BUSY => 10,
        Errno::EXIST => 20,
        Errno::FAULT => 21,
        Errno::FBIG => 22,
        Errno::ILSEQ => 25,
        Errno::INTR => 27,
        Errno::INVAL => 28,
        Errno::IO => 29,
        Errno::ISDIR => 31,
        Errno::LOOP => 32,
        Errno::MFILE => 33,
        Errno::MLINK => 34,
        Errno::NAMETOOLONG => 37,
        Errno::NFILE => 41,
        Errno::NODEV => 43,
        Errno::NOENT => 44,
        Errno::NOMEM => 48,
        Errno::NOSPC => 51,
        Errno::NOSYS => 52,
        Errno::NOTDIR => 54,
        Errno::NOTEMPTY => 55,
        Errno::OPNOTSUPP => 58,
        Errno::NOTTY => 59,
        Errno::NXIO => 60,
        Errno::OVERFLOW => 61,
        Errno::PERM => 63,
        Errno::PIPE => 64,
        Errno::RANGE => 68,
        Errno::ROFS => 69,
        Errno::SPIPE => 70,
        Errno::STALE => 72,
        Errno::TIMEDOUT => 73,
        Errno::XDEV => 75,
        _ => 29,
    }
}

/// `filetype`.
pub(super) fn file_type(kind: Kind) -> u8 {
    match kind {
        Kind::Null | Kind::Zero | Kind::Full | Kind::Random | Kind::Tty => 2,
        Kind::Dir => 3,
        Kind::File => 4,
        Kind::Link => 7,
        Kind::Fifo => 0,
    }
}

/// `filestat`, 64 bytes.
pub(super) fn file_stat(stat: &Stat) -> [u8; 64] {
    let mut record = [0; 64];
    let mut put = |at: usize, value: u64| record[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, 1);
    put(8, stat.ino);
    put(24, stat.nlink);
    put(32, stat.size);
    put(40, nanoseconds(stat.atime));
    put(48, nanoseconds(stat.mtime));
    put(56, nanoseconds(stat.ctime));
    record[16] = file_type(stat.kind);
    record
}

/// `timestamp`: nanoseconds since 1970; earlier times are not to be told.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn time(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}
