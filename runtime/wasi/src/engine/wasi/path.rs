//! Calls on a path. Each is resolved in the sandbox's tree; there is nothing else.

use super::descriptor::times;
use super::types::{
    APPEND, CREAT, DIRECTORY, EXCL, FD_READ, FD_READDIR, FD_WRITE, FOLLOW, TRUNC, file_stat, file_type,
};
use crate::engine::guest::{Answer, Bytes, Fd, Guest};
use crate::fs::{Kind, Open};
use rustix::io::Errno;

/// A pointer and a length in the module's memory.
type Text = (u32, u32);

fn text<'a>(bytes: &'a Bytes<'_>, (at, length): Text) -> Answer<&'a [u8]> {
    bytes.get(at, length)
}

#[expect(clippy::too_many_arguments, reason = "the interface has them")]
pub(super) fn path_open(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    flags: u32,
    rights: u64,
    _inherited: u64,
    fd_flags: u32,
    opened_at: u32,
) -> Answer {
    let base = guest.base(fd)?;
    let path = text(bytes, (path, length))?;
    if let Some(handle) = guest.named_fd(&base, path) {
        let number = guest.add_fd(Fd::new(handle))?;
        return bytes.put_u32(opened_at, number);
    }
    let fd_flags = fd_flags as u16;
    let writes = rights & FD_WRITE != 0;
    let how = Open {
        read: rights & (FD_READ | FD_READDIR) != 0,
        // A directory is opened with all rights by some, and only read.
        write: writes && flags & DIRECTORY == 0,
        append: fd_flags & APPEND != 0 && writes,
        create: flags & CREAT != 0,
        exclusive: flags & EXCL != 0,
        truncate: flags & TRUNC != 0,
        directory: flags & DIRECTORY != 0,
        nofollow: lookup & FOLLOW == 0,
        mode: 0o666 & !guest.umask,
    };
    let handle = guest.tree.open(&base, path, how)?;
    let number = guest.add_fd(Fd { flags: fd_flags & !APPEND, ..Fd::new(handle) })?;
    bytes.put_u32(opened_at, number)
}

pub(super) fn path_filestat_get(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    at: u32,
) -> Answer {
    let base = guest.base(fd)?;
    let path = text(bytes, (path, length))?;
    let stat = match guest.named_fd(&base, path) {
        Some(handle) => handle.stat(),
        None => guest.tree.stat(&base, path, lookup & FOLLOW != 0)?,
    };
    let mut record = file_stat(&stat);
    if stat.kind.is_device() {
        // Commands that know only files, directories and links read a device as they read a file.
        record[16] = file_type(Kind::File);
    }
    bytes.put(at, &record)
}

#[expect(clippy::too_many_arguments, reason = "the interface has them")]
pub(super) fn path_filestat_set_times(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    atime: u64,
    mtime: u64,
    flags: u32,
) -> Answer {
    let [atime, mtime] = times(guest, atime, mtime, flags)?;
    let base = guest.base(fd)?;
    let path = text(bytes, (path, length))?;
    Ok(guest.tree.set_times(&base, path, atime, mtime, lookup & FOLLOW != 0)?)
}

pub(super) fn path_create_directory(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Answer {
    let base = guest.base(fd)?;
    Ok(guest.tree.make_dir(&base, text(bytes, (path, length))?, 0o777 & !guest.umask)?)
}

pub(super) fn path_remove_directory(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Answer {
    let base = guest.base(fd)?;
    Ok(guest.tree.remove_dir(&base, text(bytes, (path, length))?)?)
}

pub(super) fn path_unlink_file(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Answer {
    let base = guest.base(fd)?;
    Ok(guest.tree.remove_file(&base, text(bytes, (path, length))?)?)
}

/// The second path, made absolute: both are resolved from one directory.
fn absolute(base: &[u8], path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") || path.is_empty() { path.to_vec() } else { [base, path].join(&b'/') }
}

#[expect(clippy::too_many_arguments, reason = "the interface has them")]
pub(super) fn path_link(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    from_fd: u32,
    _lookup: u32,
    from: u32,
    from_length: u32,
    to_fd: u32,
    to: u32,
    to_length: u32,
) -> Answer {
    let to = absolute(&guest.base(to_fd)?, text(bytes, (to, to_length))?);
    let base = guest.base(from_fd)?;
    Ok(guest.tree.link(&base, text(bytes, (from, from_length))?, &to)?)
}

#[expect(clippy::too_many_arguments, reason = "the interface has them")]
pub(super) fn path_rename(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    from_fd: u32,
    from: u32,
    from_length: u32,
    to_fd: u32,
    to: u32,
    to_length: u32,
) -> Answer {
    let to = absolute(&guest.base(to_fd)?, text(bytes, (to, to_length))?);
    let base = guest.base(from_fd)?;
    Ok(guest.tree.rename(&base, text(bytes, (from, from_length))?, &to)?)
}

pub(super) fn path_symlink(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    target: u32,
    target_length: u32,
    fd: u32,
    path: u32,
    length: u32,
) -> Answer {
    let base = guest.base(fd)?;
    let target = text(bytes, (target, target_length))?;
    Ok(guest.tree.symlink(&base, target, text(bytes, (path, length))?)?)
}

#[expect(clippy::too_many_arguments, reason = "the interface has them")]
pub(super) fn path_readlink(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    path: u32,
    length: u32,
    buffer: u32,
    room: u32,
    used_at: u32,
) -> Answer {
    let base = guest.base(fd)?;
    let target = guest.tree.read_link(&base, text(bytes, (path, length))?)?;
    let used = target.len().min(room as usize);
    bytes.put(buffer, &target[..used])?;
    bytes.put_u32(used_at, u32::try_from(used).map_err(|_| Errno::OVERFLOW)?)
}
