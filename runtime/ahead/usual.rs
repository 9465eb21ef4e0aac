//! The directory and the environment of the last script, and when it came. The next one's are mostly the same.

use crate::message::{put, word};
use crate::place::Stay;
use crate::start::Start;
use crate::sys::*;
use core::ffi::CStr;

/// Most bytes that are kept.
const MOST: usize = 32 << 10;
/// In place of the length of what follows: all is as it was.
const THE_SAME: u32 = u32::MAX;
/// After the length: flags.
const SLOW: u32 = 1;
const PROMPT: u32 = 2;
/// More than it takes to wake a processor, in microseconds: who has waited longer has waited for somebody else.
const LATE: u32 = 500;
/// Variables with which bash does more than read them before its script; those that run a program are never passed on.
const UNUSUAL: [&[u8]; 3] = [b"BASH", b"POSIX", b"SSH"];

/// The directory, and then the environment, each string with its NUL.
#[derive(Clone)]
pub struct Usual {
    bytes: *mut u8,
    len: usize,
    /// It came after a pause.
    pub is_slow: bool,
    /// It was taken soon after it was sent, by a caller who had no other under way.
    is_prompt: bool,
    stay: Stay,
}

impl Usual {
    /// Nothing yet.
    pub fn new() -> Usual {
        Usual {
            bytes: map(-1, MOST).unwrap_or(core::ptr::null_mut()),
            len: 0,
            is_slow: false,
            is_prompt: false,
            stay: Stay::nowhere(),
        }
    }

    fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `len` of the mapped bytes were filled.
        unsafe { core::slice::from_raw_parts(self.bytes, self.len) }
    }

    /// Tells process 1 that this process is a script, and what it may expect of the next.
    pub fn tell(&self, start: &Start, pipe: i32) -> Result<(), i32> {
        if self.is(start) {
            return write_all(pipe, &self.head(THE_SAME));
        }
        let (directory, environment) = (start.directory(), start.environment());
        let len = directory.len() + environment.len();
        let len = if len > MOST.min(room(pipe)) || self.bytes.is_null() { 0 } else { len };
        write_all(pipe, &self.head(len as u32))?;
        if len == 0 {
            return Ok(());
        }
        write_all(pipe, directory)?;
        write_all(pipe, environment)
    }

    /// As [`Usual::tell`], of a script that could not be read.
    pub fn tell_nothing(&self, pipe: i32) {
        let _ = write_all(pipe, &self.head(0));
    }

    /// Hears from a process whether it is a script; false when it has ended without becoming one.
    pub fn hear(&mut self, pipe: i32) -> bool {
        let mut head = [0u8; 8];
        if !fill(pipe, &mut head) {
            return false;
        }
        let len = word(&head, 0);
        let flags = word(&head, 4);
        (self.is_slow, self.is_prompt) = (flags & SLOW != 0, flags & PROMPT != 0);
        if len == THE_SAME {
            return true;
        }
        self.len = 0;
        let len = (len as usize).min(MOST);
        if len > 0 && !self.bytes.is_null() {
            // SAFETY: mapped with `MOST` bytes, and nobody else's.
            let room = unsafe { core::slice::from_raw_parts_mut(self.bytes, len) };
            self.len = if fill(pipe, room) { len } else { 0 };
        }
        true
    }

    /// A script has come, after a pause or not, that was sent at this time of [`MSG_RUN`].
    pub fn came(&mut self, is_slow: bool, sent: u32) {
        self.is_slow = is_slow;
        self.is_prompt = sent != 0 && micros().wrapping_sub(sent) < LATE;
    }

    /// What comes before the directory and the environment.
    fn head(&self, len: u32) -> [u8; 8] {
        let mut head = [0; 8];
        put(&mut head, 0, len);
        put(&mut head, 4, if self.is_slow { SLOW } else { 0 } | if self.is_prompt { PROMPT } else { 0 });
        head
    }

    /// Waits for the next script where the last one ends, which is where the caller is woken, if he comes alone and after
    /// pauses. If the last one had to wait for somebody else's work, anywhere.
    pub fn go(&mut self) {
        if self.is_slow && self.is_prompt { self.stay.begin() } else { self.stay.leave() }
    }

    /// Runs anywhere.
    pub fn leave(&mut self) {
        self.stay.leave();
    }

    /// Whether a script has this directory and this environment.
    pub fn is(&self, start: &Start) -> bool {
        let directory = start.directory();
        self.bytes().strip_prefix(directory).is_some_and(|rest| rest == start.environment())
    }

    /// The directory, and a table of the environment, where bash can be begun with them.
    pub fn table(&self) -> Option<(&CStr, *const *const u8)> {
        let directory = CStr::from_bytes_until_nul(self.bytes()).ok()?;
        let environment = self.bytes().get(directory.count_bytes() + 1..)?;
        let strings = || environment.split_inclusive(|b| *b == 0);
        if strings().any(|s| UNUSUAL.iter().any(|name| s.starts_with(name))) {
            return None;
        }
        let table = map(-1, (strings().count() + 1) * size_of::<*const u8>()).ok()?.cast::<*const u8>();
        for (i, string) in strings().enumerate() {
            // SAFETY: there is room for every string; the NULL after them is fresh memory.
            unsafe { table.add(i).write(string.as_ptr()) };
        }
        Some((directory, table))
    }
}

/// What a pipe holds for certain, however it is written: nobody reads it before this process has ended.
fn room(pipe: i32) -> usize {
    const F_GETPIPE_SZ: u32 = 1032;
    const PARTLY_FILLED: usize = 3 * 4096;
    check(syscall!(FCNTL, pipe, F_GETPIPE_SZ)).unwrap_or(0).saturating_sub(PARTLY_FILLED)
}

/// Reads as much as fits; false at the end before that.
fn fill(pipe: i32, mut room: &mut [u8]) -> bool {
    while !room.is_empty() {
        match read(pipe, room) {
            n if n > 0 => room = room.get_mut(n as usize..).unwrap_or(&mut []),
            _ => return false,
        }
    }
    true
}
