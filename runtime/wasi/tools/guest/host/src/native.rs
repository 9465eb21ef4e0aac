//! The same of an ordinary Linux, for tests.

#![allow(unsafe_code)]

use crate::Stat;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

pub(crate) fn stat(path: &Path, follow: bool) -> io::Result<Stat> {
    let meta = if follow { std::fs::metadata(path)? } else { std::fs::symlink_metadata(path)? };
    let at = |seconds: i64, nanos: i64| {
        SystemTime::UNIX_EPOCH + Duration::new(seconds.max(0) as u64, nanos as u32)
    };
    Ok(Stat {
        device: meta.dev(),
        inode: meta.ino(),
        links: meta.nlink(),
        size: meta.len(),
        modified: at(meta.mtime(), meta.mtime_nsec()),
        accessed: at(meta.atime(), meta.atime_nsec()),
        changed: at(meta.ctime(), meta.ctime_nsec()),
        mode: meta.mode(),
        user: meta.uid(),
        group: meta.gid(),
        blocks: meta.blocks(),
    })
}

pub(crate) fn spawn(argv: &[Vec<u8>], stdio: [u32; 3]) -> Option<i32> {
    let mut words = argv.iter().map(|word| OsStr::from_bytes(word));
    let mut command = Command::new(words.next()?);
    command.args(words);
    if stdio[0] != 0 {
        command.stdin(Stdio::from(copy(stdio[0])?));
    }
    if stdio[1] == 2 {
        command.stdout(io::stderr());
    } else if stdio[1] != 1 {
        command.stdout(Stdio::from(copy(stdio[1])?));
    }
    Some(command.status().ok()?.code().unwrap_or(1))
}

pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)
}

// The descriptor stays its owner's.
fn copy(descriptor: u32) -> Option<std::fs::File> {
    std::mem::ManuallyDrop::new(file(descriptor)).try_clone().ok()
}

/// The number of an open file.
pub(crate) fn descriptor(file: &std::fs::File) -> u32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd() as u32
}

pub(crate) fn pipe() -> io::Result<(u32, u32)> {
    use std::os::fd::IntoRawFd;
    let (read, write) = io::pipe()?;
    Ok((read.into_raw_fd() as u32, write.into_raw_fd() as u32))
}

pub(crate) fn file(descriptor: u32) -> std::fs::File {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller owns the descriptor.
    unsafe { std::fs::File::from_raw_fd(descriptor as i32) }
}

pub(crate) fn mode(path: &Path, follow: bool) -> io::Result<u32> {
    let meta = if follow { std::fs::metadata(path)? } else { std::fs::symlink_metadata(path)? };
    Ok(meta.mode() & 0o7777)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

pub(crate) fn make_symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}
