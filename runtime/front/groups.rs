//! The cgroups of a sandbox, of version 1.

use crate::asking::{Asking, BEGUN, Group};
use crate::leave::MOST_GROUPS;
use crate::paths::Place;
use crate::sys::*;
use crate::text::Text;

const GETPID: usize = 39;
const RMDIR: usize = 84;
/// Begins the name of a group; the number of its owner follows.
const NAME: &[u8] = b"/sbx-";

/// Makes the groups and opens their doors; all of them or none.
pub fn make(asking: &Asking<'_>, doors: &mut [i32]) -> bool {
    let made = asking.groups().zip(doors.iter_mut()).try_for_each(|(group, door)| {
        let mut dir = place(&group)?;
        check(syscall!(MKDIR, dir.pointer(), 0o777)).ok()?;
        for (file, value, is_required) in group.settings() {
            let written = dir.open_file(file, O_WRONLY).map(|fd| {
                let written = write_all(fd, value);
                close(fd);
                written
            });
            if is_required && written != Some(Ok(())) {
                return None;
            }
        }
        *door = dir.open_file(b"tasks", O_WRONLY)?;
        Some(())
    });
    if made.is_none() {
        doors.iter().filter(|fd| **fd > 2).for_each(|fd| close(*fd));
        remove(asking);
    }
    made.is_some()
}

pub fn remove(asking: &Asking<'_>) {
    for group in asking.groups() {
        if let Some(dir) = place(&group) {
            syscall!(RMDIR, dir.pointer());
        }
    }
}

/// The directory of this program's group.
pub fn place(group: &Group<'_>) -> Option<Place> {
    let mut number = Text::of(NAME);
    number.number(syscall!(GETPID) as u32);
    Place::of([group.parent, number.bytes(), b"-", BEGUN])
}

/// How many there are, if that is not too many.
pub fn count(asking: &Asking<'_>) -> Option<usize> {
    Some(asking.groups().count()).filter(|count| *count <= MOST_GROUPS)
}

/// What the kernel counts of the limits: kills for memory, and refused forks.
pub struct Counters {
    kills: Option<i32>,
    refusals: Option<i32>,
}

impl Counters {
    /// Opens them. What is not counted has not fired.
    pub fn open(asking: &Asking<'_>) -> Counters {
        let mut counters = Counters { kills: None, refusals: None };
        for group in asking.groups() {
            let Some(mut dir) = place(&group) else { continue };
            counters.kills = dir.open_file(b"memory.oom_control", 0).or(counters.kills);
            counters.refusals = dir.open_file(b"pids.events", 0).or(counters.refusals);
        }
        counters
    }

    /// Whether no limit has fired.
    pub fn are_quiet(&self) -> bool {
        let says = |file: Option<i32>, nothing: &[u8]| {
            let mut text = [0u8; 1024];
            file.is_none_or(|fd| {
                read_at(fd, &mut text).is_ok() && text.windows(nothing.len()).any(|part| part == nothing)
            })
        };
        says(self.kills, b"oom_kill 0\n") && says(self.refusals, b"max 0\n")
    }
}

/// Removes groups whose owners were killed before they could. One with processes cannot be removed.
pub fn sweep(asking: &Asking<'_>) {
    for group in asking.groups() {
        let Some(dir) = Place::of([group.parent]).and_then(|dir| dir.open(O_DIRECTORY)) else { continue };
        let mut room = [0u8; 4096];
        while entries(dir, &mut room, |name| remove_orphan(dir, name)) {}
        close(dir);
    }
}

fn remove_orphan(dir: i32, name: &[u8]) -> Option<()> {
    const UNLINKAT: usize = 263;
    const REMOVEDIR: u32 = 0x200;
    let rest = name.strip_prefix(NAME.get(1..)?)?;
    let owner = rest.get(..rest.iter().position(|b| *b == b'-')?)?;
    let is_number = !owner.is_empty() && owner.iter().all(u8::is_ascii_digit);
    let process = Place::of([b"/proc/".as_slice(), owner]).filter(|_| is_number)?;
    if let Some(fd) = process.open(O_PATH) {
        close(fd);
        return None;
    }
    let name = Place::of([name])?;
    syscall!(UNLINKAT, dir, name.pointer(), REMOVEDIR);
    Some(())
}

/// Hands on names of a directory; false at its end.
pub fn entries(dir: i32, room: &mut [u8; 4096], mut see: impl FnMut(&[u8]) -> Option<()>) -> bool {
    const GETDENTS64: usize = 217;
    /// Inode, offset, length, and type come before the name.
    const HEAD: usize = 19;
    let len = check(syscall!(GETDENTS64, dir, room.as_mut_ptr(), room.len())).unwrap_or(0);
    let mut rest = room.get(..len).unwrap_or(&[]);
    while let Some(&[one, two]) = rest.get(16..18) {
        let Some((entry, after)) = rest.split_at_checked(usize::from(u16::from_ne_bytes([one, two]))) else {
            break;
        };
        let name = entry.get(HEAD..).unwrap_or(&[]);
        see(name.get(..name.iter().position(|b| *b == 0).unwrap_or(0)).unwrap_or(&[]));
        rest = after;
    }
    len > 0
}
