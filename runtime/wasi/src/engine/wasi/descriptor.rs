//! Calls on an open descriptor.

use super::types::{
    ALL_RIGHTS, APPEND, FD_READ, FD_SEEK, FD_TELL, FD_WRITE, IOV_MAX, file_stat, file_type, time,
};
use crate::engine::guest::{Answer, Bytes, Fault, Guest, ROOT_FD};
use crate::engine::job::Exit;
use crate::fs::Kind;
use rustix::io::Errno;
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes before the name in an entry of a directory.
const DIRENT: usize = 24;

pub(super) fn fd_close(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32) -> Answer {
    guest.close(fd)
}

pub(super) fn fd_renumber(guest: &mut Guest, _: &mut Bytes<'_>, from: u32, to: u32) -> Answer {
    guest.renumber(from, to)
}

/// Moves bytes through the buffers of a list, one after the other, until one is not filled or emptied. `move_some` is given
/// a buffer and how much was moved before it, and returns how much it moved, and whether there may be more.
fn each_buffer(
    bytes: &mut Bytes<'_>,
    list: u32,
    count: u32,
    mut move_some: impl FnMut(&mut Bytes<'_>, (u32, u32), u32) -> Result<(u32, bool), Fault>,
) -> Result<u32, Fault> {
    let mut done = 0u32;
    for n in 0..count.min(IOV_MAX) {
        let (at, length) = bytes.vector(list, n)?;
        if length == 0 {
            continue;
        }
        let (some, more) = move_some(bytes, (at, length), done)?;
        done = done.saturating_add(some);
        if some < length || !more {
            break;
        }
    }
    Ok(done)
}

pub(super) fn fd_read(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    list: u32,
    count: u32,
    read_at: u32,
) -> Answer {
    let handle = guest.handle(fd)?;
    let done = each_buffer(bytes, list, count, |bytes, (at, length), _| {
        let got = handle.read(bytes.get_mut(at, length)?, &guest.budget)? as u32;
        // A second buffer is filled only with what is there: it does not wait.
        Ok((got, matches!(handle.stat_kind(), Kind::File)))
    })?;
    bytes.put_u32(read_at, done)
}

pub(super) fn fd_write(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    list: u32,
    count: u32,
    written_at: u32,
) -> Answer {
    let handle = guest.handle(fd)?;
    let done = each_buffer(bytes, list, count, |bytes, (at, length), before| {
        match handle.write(bytes.get(at, length)?, &guest.budget) {
            Ok(some) => Ok((some as u32, true)),
            // As a process that does not handle SIGPIPE.
            Err(Errno::PIPE) => Err(Fault::End(Exit::Signal(13))),
            Err(_) if before > 0 => Ok((0, false)),
            Err(e) => Err(e.into()),
        }
    })?;
    bytes.put_u32(written_at, done)
}

pub(super) fn fd_pread(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    list: u32,
    count: u32,
    from: u64,
    read_at: u32,
) -> Answer {
    let handle = guest.handle(fd)?;
    let done = each_buffer(bytes, list, count, |bytes, (at, length), before| {
        let from = from.saturating_add(before.into());
        Ok((handle.read_at(from, bytes.get_mut(at, length)?)? as u32, true))
    })?;
    bytes.put_u32(read_at, done)
}

pub(super) fn fd_pwrite(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    list: u32,
    count: u32,
    to: u64,
    written_at: u32,
) -> Answer {
    let handle = guest.handle(fd)?;
    let done = each_buffer(bytes, list, count, |bytes, (at, length), before| {
        let to = to.saturating_add(before.into());
        Ok((handle.write_at(to, bytes.get(at, length)?)? as u32, true))
    })?;
    bytes.put_u32(written_at, done)
}

pub(super) fn fd_seek(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    at: u32,
) -> Answer {
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::INVAL)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::INVAL.into()),
    };
    bytes.put_u64(at, guest.handle(fd)?.seek(to)?)
}

pub(super) fn fd_tell(guest: &mut Guest, bytes: &mut Bytes<'_>, fd: u32, at: u32) -> Answer {
    bytes.put_u64(at, guest.handle(fd)?.seek(SeekFrom::Current(0))?)
}

/// What is only a hint, or is always so in memory.
pub(super) fn fd_sync(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32) -> Answer {
    guest.handle(fd).map(drop)
}

pub(super) fn fd_advise(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32, _: u64, _: u64, _: u32) -> Answer {
    guest.handle(fd).map(drop)
}

pub(super) fn fd_allocate(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32, from: u64, length: u64) -> Answer {
    let handle = guest.handle(fd)?;
    let end = from.checked_add(length).ok_or(Errno::FBIG)?;
    if handle.stat().size < end { Ok(handle.set_len(end)?) } else { Ok(()) }
}

pub(super) fn fd_fdstat_get(guest: &mut Guest, bytes: &mut Bytes<'_>, fd: u32, at: u32) -> Answer {
    let open = guest.fd(fd)?;
    let kind = open.handle.stat_kind();
    let (reads, writes) = open.handle.access();
    let mut rights = ALL_RIGHTS;
    if !reads {
        rights &= !FD_READ;
    }
    if !writes {
        rights &= !FD_WRITE;
    }
    if kind == Kind::Tty {
        // This is how a C library tells a terminal.
        rights &= !(FD_SEEK | FD_TELL);
    }
    let flags = open.flags | if open.handle.appends() { APPEND } else { 0 };
    let mut record = [0; 24];
    record[0] = file_type(kind);
    record[2..4].copy_from_slice(&flags.to_le_bytes());
    record[8..16].copy_from_slice(&rights.to_le_bytes());
    record[16..24].copy_from_slice(&ALL_RIGHTS.to_le_bytes());
    bytes.put(at, &record)
}

pub(super) fn fd_fdstat_set_flags(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32, flags: u32) -> Answer {
    guest.fd_mut(fd)?.flags = flags as u16;
    Ok(())
}

pub(super) fn fd_fdstat_set_rights(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32, _: u64, _: u64) -> Answer {
    guest.handle(fd).map(drop)
}

pub(super) fn fd_filestat_get(guest: &mut Guest, bytes: &mut Bytes<'_>, fd: u32, at: u32) -> Answer {
    let handle = guest.handle(fd)?;
    let stat = match handle.directory_path() {
        Some(path) => guest.tree.stat(b"/", path, true)?,
        None => handle.stat(),
    };
    bytes.put(at, &file_stat(&stat))
}

pub(super) fn fd_filestat_set_size(guest: &mut Guest, _: &mut Bytes<'_>, fd: u32, size: u64) -> Answer {
    Ok(guest.handle(fd)?.set_len(size)?)
}

pub(super) fn fd_filestat_set_times(
    guest: &mut Guest,
    _: &mut Bytes<'_>,
    fd: u32,
    atime: u64,
    mtime: u64,
    flags: u32,
) -> Answer {
    let [atime, mtime] = times(guest, atime, mtime, flags)?;
    let handle = guest.handle(fd)?;
    match handle.directory_path() {
        Some(path) => Ok(guest.tree.set_times(b"/", path, atime, mtime, true)?),
        None => Ok(handle.set_times(atime, mtime)?),
    }
}

/// Which times are to be set, and to what.
pub(super) fn times(guest: &Guest, atime: u64, mtime: u64, flags: u32) -> Answer<[Option<SystemTime>; 2]> {
    let one = |given: u64, set: u32, now: u32| match (flags & set != 0, flags & now != 0) {
        (true, true) => Err(Fault::Errno(Errno::INVAL)),
        (true, false) => Ok(Some(time(given))),
        (false, true) => Ok(Some(guest.tree.now())),
        (false, false) => Ok(None),
    };
    Ok([one(atime, 1, 2)?, one(mtime, 4, 8)?])
}

pub(super) fn fd_prestat_get(guest: &mut Guest, bytes: &mut Bytes<'_>, fd: u32, at: u32) -> Answer {
    if fd != ROOT_FD || guest.handle(fd)?.directory_path() != Some(b"/") {
        return Err(Errno::BADF.into());
    }
    bytes.put_u32(at, 0)?;
    bytes.put_u32(at.wrapping_add(4), 1)
}

pub(super) fn fd_prestat_dir_name(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    at: u32,
    length: u32,
) -> Answer {
    if fd != ROOT_FD || guest.handle(fd)?.directory_path() != Some(b"/") {
        return Err(Errno::BADF.into());
    }
    if length < 1 { Err(Errno::NAMETOOLONG.into()) } else { bytes.put(at, b"/") }
}

pub(super) fn fd_readdir(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    fd: u32,
    at: u32,
    length: u32,
    cookie: u64,
    used_at: u32,
) -> Answer {
    let path = guest.base(fd)?;
    let kept = guest.fd(fd)?.listing.clone().filter(|_| cookie > 0);
    let listing = match kept {
        Some(listing) => listing,
        None => {
            let mut names = vec![(b".".to_vec(), Kind::Dir), (b"..".to_vec(), Kind::Dir)];
            names.extend(guest.tree.list(b"/", &path)?);
            let listing = Arc::new(names);
            guest.fd_mut(fd)?.listing = Some(listing.clone());
            listing
        }
    };
    let buffer = bytes.get_mut(at, length)?;
    let mut used = 0;
    let first = usize::try_from(cookie).unwrap_or(usize::MAX);
    for (n, (name, kind)) in listing.iter().enumerate().skip(first) {
        let mut record = [0; DIRENT];
        record[..8].copy_from_slice(&(n as u64 + 1).to_le_bytes());
        // Any number but 0, which a C library takes for a name that is gone.
        record[8..16].copy_from_slice(&1u64.to_le_bytes());
        record[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        record[20] = file_type(*kind);
        // The last entry may be cut off: whoever reads asks again from its cookie.
        for part in [&record[..], name] {
            let n = part.len().min(buffer.len() - used);
            buffer[used..used + n].copy_from_slice(&part[..n]);
            used += n;
        }
        if used == buffer.len() {
            break;
        }
    }
    bytes.put_u32(used_at, used as u32)
}
