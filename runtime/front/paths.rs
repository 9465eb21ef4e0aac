//! Paths, and what lies there.

use crate::sys::*;
use crate::text::Text;

/// Bytes of a path.
pub const PATH: usize = 4096;
const AT_FDCWD: i32 = -100;
const READLINKAT: usize = 267;

/// A path that is put together. It ends with NUL.
pub struct Place {
    text: [u8; PATH],
    len: usize,
}

impl Place {
    /// `None` where it is too long.
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Option<Place> {
        let mut place = Place { text: [0; PATH], len: 0 };
        parts.into_iter().try_for_each(|part| place.push(part))?;
        Some(place)
    }

    fn push(&mut self, part: &[u8]) -> Option<()> {
        // The last stays NUL.
        let end = self.len.checked_add(part.len()).filter(|end| *end < PATH)?;
        self.text.get_mut(self.len..end)?.iter_mut().zip(part).for_each(|(to, b)| *to = *b);
        self.len = end;
        Some(())
    }

    pub fn pointer(&self) -> *const u8 {
        self.text.as_ptr()
    }

    pub fn open(&self, flags: u32) -> Option<i32> {
        open_at(AT_FDCWD, self.pointer(), flags)
    }

    /// Opens a file of this directory, by its name.
    pub fn open_file(&mut self, name: &[u8], flags: u32) -> Option<i32> {
        let len = self.len;
        let opened = self.push(b"/").and_then(|()| self.push(name)).and_then(|()| self.open(flags));
        let (at, end) = (len, self.len);
        self.text.get_mut(at..end)?.iter_mut().for_each(|b| *b = 0);
        self.len = len;
        opened
    }
}

/// Opens a path that ends with NUL; closed on exec.
pub fn open_at(dir: i32, path: *const u8, flags: u32) -> Option<i32> {
    check(syscall!(OPENAT, dir, path, flags | O_CLOEXEC, 0)).ok().map(|fd| fd as i32)
}

/// Opens a directory by its path.
pub fn open_dir(path: &[u8], flags: u32) -> Option<i32> {
    Place::of([path])?.open(flags)
}

/// Where an open directory is, without links; closes it.
pub fn path_of(fd: i32, place: &mut [u8; PATH]) -> Option<&[u8]> {
    let mut link = Text::of(b"/proc/self/fd/");
    link.number(fd as u32);
    let len = check(syscall!(READLINKAT, AT_FDCWD, link.pointer(), place.as_mut_ptr(), place.len())).ok();
    close(fd);
    place.get(..len.filter(|len| *len < PATH)?)
}

/// Owner and mode; closes it.
pub fn owner_of(fd: i32) -> Option<(u32, u32)> {
    let found = file_owner(fd).ok();
    close(fd);
    found
}

/// All of a file, in memory that stays; closes it. `None` where it is empty or longer.
pub fn read_file(fd: i32, most: usize) -> Option<&'static [u8]> {
    let len = file_len(fd).ok().filter(|len| (1..most).contains(len));
    // Read at once, and not mapped: a file that becomes shorter is no reason to die.
    let text = len.and_then(|len| map(-1, len).ok().map(|text| (text, len))).and_then(|(text, len)| {
        // SAFETY: a fresh mapping of `len` bytes, which stays.
        let text = unsafe { core::slice::from_raw_parts_mut(text, len) };
        read_at(fd, text).ok().map(|()| &*text)
    });
    close(fd);
    text
}
