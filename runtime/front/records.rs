//! The record of a request.

use crate::line::Strings;
use crate::named::{self, name};
use crate::paths::{PATH, open_dir, path_of, read_file};
use crate::sys::*;

/// Most bytes of a record.
pub const ROOM: usize = 1 << 20;
const O_NONBLOCK: u32 = 0o4000;

/// The record of a request, as it is in the user's own cache, where nobody else may write.
pub fn read(environment: Strings, uid: u32, policy: &[u8], lower: &[u8]) -> Option<&'static [u8]> {
    let is_path = |path: &&[u8]| path.first() == Some(&b'/');
    let (top, below): (_, &[u8]) = match environment.value(b"XDG_CACHE_HOME").filter(is_path) {
        Some(dir) => (dir, b"/sbx"),
        None => (environment.value(b"HOME").filter(is_path)?, b"/.cache/sbx"),
    };
    let mut path = [0u8; PATH];
    path.iter_mut().zip(top.iter().chain(below)).for_each(|(to, b)| *to = *b);
    let len = top.len() + below.len();
    let below = b"/".iter().chain(named::OPENED.as_bytes());
    path.iter_mut().skip(len).zip(below.clone()).for_each(|(to, b)| *to = *b);
    let dir = open_dir(path.get(..len + below.count())?, O_DIRECTORY | O_NOFOLLOW)?;
    let above = check(syscall!(OPENAT, dir, c"..".as_ptr(), O_PATH | O_DIRECTORY | O_CLOEXEC)).ok()? as i32;
    let is_private = |fd: i32| file_owner(fd).is_ok_and(|(owner, mode)| owner == uid && mode & 0o022 == 0);
    let is_ours = is_private(dir) && is_private(above);
    close(above);
    if !is_ours {
        close(dir);
        return None;
    }
    let mut place = [0u8; PATH];
    let cache = path_of(duplicate(dir)?, &mut place)?;
    let cache = cache.strip_suffix(named::OPENED.as_bytes())?.strip_suffix(b"/")?;
    // What an action may have written decides nothing.
    let is_under = |path: &[u8], dir: &[u8]| {
        // The root alone ends with a slash.
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        path.strip_prefix(dir).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    };
    if is_under(cache, lower) || is_under(lower, cache) {
        close(dir);
        return None;
    }
    let mut file = [0u8; 17];
    file.iter_mut().zip(name(policy, lower)).for_each(|(to, b)| *to = b);
    let fd = check(syscall!(OPENAT, dir, file.as_ptr(), O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)).ok();
    close(dir);
    read_file(fd? as i32, ROOM)
}

fn duplicate(fd: i32) -> Option<i32> {
    const F_DUPFD_CLOEXEC: u32 = 1030;
    check(syscall!(FCNTL, fd, F_DUPFD_CLOEXEC, 0)).ok().map(|fd| fd as i32)
}
