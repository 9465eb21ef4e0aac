//! Whether files of the host are what they were. A stamp is a line: seven hexadecimal numbers with commas between them
//! (device, inode, size, and modification and change time in seconds and nanoseconds), or "-" for nothing; a space; a path.

use crate::sys::*;

/// Bytes of a path.
const PATH: usize = 4096;
const AT_FDCWD: i32 = -100;

/// Lines after which others may run.
const TURN: usize = 16;

/// Whether all lines of this text hold. Who waits for this processor meanwhile does not wait long.
pub fn hold(stamps: &[u8]) -> bool {
    const SCHED_YIELD: usize = 24;
    let mut eye = Eye { dir: None, path: [0; PATH] };
    let mut lines = stamps.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate();
    let holds = lines.all(|(number, line)| {
        if number % TURN == 0 {
            syscall!(SCHED_YIELD);
        }
        eye.confirms(line)
    });
    eye.leave();
    holds
}

/// Looks at one file after the other; those of a directory are looked up from there, not each from the root.
struct Eye<'a> {
    dir: Option<(&'a [u8], i32)>,
    /// What is asked for, with a NUL after it.
    path: [u8; PATH],
}

impl<'a> Eye<'a> {
    fn confirms(&mut self, line: &'a [u8]) -> bool {
        let Some((was, path)) = line.iter().position(|b| *b == b' ').and_then(|at| line.split_at_checked(at))
        else {
            return false;
        };
        match self.look(path.get(1..).unwrap_or(&[])) {
            None => was == b"-",
            Some(now) => numbers(was) == Some(now),
        }
    }

    /// What a file is; `None` where there is nothing.
    fn look(&mut self, path: &'a [u8]) -> Option<[i64; 7]> {
        const NEWFSTATAT: usize = 262;
        let end = path.iter().rposition(|b| *b == b'/')?;
        let (parent, name) = (path.get(..end.max(1))?, path.get(end + 1..)?);
        if self.dir.is_none_or(|(dir, _)| dir != parent) {
            self.leave();
            let fd = syscall!(OPENAT, AT_FDCWD, self.text(parent)?, O_PATH | O_DIRECTORY | O_CLOEXEC);
            self.dir = Some((parent, check(fd).ok()? as i32));
        }
        let (_, fd) = self.dir?;
        let name = if name.is_empty() { b"." } else { name };
        let mut stat = [0i64; 18];
        check(syscall!(NEWFSTATAT, fd, self.text(name)?, stat.as_mut_ptr(), 0)).ok()?;
        let [dev, ino, _, _, _, _, size, _, _, _, _, mtime, mtime_nsec, ctime, ctime_nsec, ..] = stat;
        Some([dev, ino, size, mtime, mtime_nsec, ctime, ctime_nsec])
    }

    fn text(&mut self, path: &[u8]) -> Option<*const u8> {
        let room = self.path.get_mut(..=path.len())?;
        room.iter_mut().zip(path.iter().chain(&[0])).for_each(|(to, b)| *to = *b);
        Some(self.path.as_ptr())
    }

    fn leave(&mut self) {
        if let Some((_, fd)) = self.dir.take() {
            close(fd);
        }
    }
}

fn numbers(text: &[u8]) -> Option<[i64; 7]> {
    let mut numbers = [0; 7];
    let mut parts = text.split(|b| *b == b',');
    for number in &mut numbers {
        let part = parts.next()?;
        let (sign, digits) = part.strip_prefix(b"-").map_or((1, part), |digits| (-1, digits));
        let value = digits.iter().try_fold(0i64, |value, digit| {
            value.checked_mul(16)?.checked_add(i64::from(char::from(*digit).to_digit(16)?))
        })?;
        *number = value * sign;
    }
    parts.next().is_none().then_some(numbers)
}
