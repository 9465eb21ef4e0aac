//! An action as the library sent it, and the first steps of its process. Compiled into process 1 and into the library
//! that holds a bash back (`ahead/`).

use crate::message::word;
use crate::sys::*;
use crate::wire::*;
use core::ffi::CStr;

/// Pointers into the mapped payload, and the descriptors that came with it.
pub struct Start {
    /// Programs to try in turn, NULL-terminated.
    pub programs: *const *const u8,
    /// NULL-terminated.
    pub argv: *const *const u8,
    /// NULL-terminated.
    pub envp: *const *const u8,
    /// One past the last string: those of `argv` and `envp` follow one another.
    pub end: *const u8,
    cwd: *const u8,
    /// All above 2, because those are always open here; −1 for the null device.
    stdio: [i32; 3],
    /// −1 when it is in the message.
    payload: i32,
    script: i32,
}

/// The memory that a [`Start`] points into.
pub struct Mapped {
    text: (*mut u8, usize),
    table: (*mut u8, usize),
}

impl Mapped {
    /// Maps what any message needs that brings its payload, and touches what most of them need: for one who has time.
    #[allow(dead_code, reason = "only a bash has")]
    pub fn ahead() -> Option<Mapped> {
        // Each string takes one byte at least, and beside the strings there are three tables.
        const TABLE: usize = (RUN_LEN + 3) * 8;
        let map = |len: usize| {
            let memory = map(-1, len).ok()?;
            // SAFETY: fresh memory of `len` bytes.
            unsafe { memory.write_volatile(0) };
            Some((memory, len))
        };
        Some(Mapped { text: map(RUN_LEN)?, table: map(TABLE)? })
    }

    /// The pointers of the [`Start`] are dangling afterwards.
    pub fn unmap(self) {
        unmap(self.text.0, self.text.1);
        unmap(self.table.0, self.table.1);
    }
}

impl Start {
    /// Of a MSG_RUN with these flags and descriptors.
    pub fn new(flags: u32, fds: &[i32]) -> Start {
        let mut fds = fds.iter().copied();
        let mut next = |is_there: bool| if is_there { fds.next() } else { None }.unwrap_or(-1);
        let stdio = [next(flags & RUN_NO_STDIN == 0), next(true), next(true)];
        let (payload, script) = (next(flags & RUN_INLINE == 0), next(true));
        let null = core::ptr::null();
        Start {
            programs: null,
            argv: null,
            envp: null,
            end: null.cast(),
            cwd: null.cast(),
            stdio,
            payload,
            script,
        }
    }

    /// Of these tables alone.
    pub fn of(argv: *const *const u8, envp: *const *const u8) -> Start {
        Start { argv, envp, ..Start::new(0, &[]) }
    }

    /// Reads the payload, from the message or its file: three counts, then NUL-terminated strings: cwd, programs, argv, envp.
    /// `ahead` is used if that was mapped for this, and otherwise memory is mapped now.
    pub fn read(&mut self, message: &[u8], ahead: Option<&Mapped>) -> Result<Mapped, i32> {
        let inline = message.get(RUN_HEAD..).filter(|_| self.payload < 0);
        let len = inline.map_or_else(|| file_len(self.payload), |bytes| Ok(bytes.len()))?.max(1);
        // Memory of the process's own, not the file's: only that shows in /proc as its arguments.
        let ahead = ahead.filter(|_| inline.is_some());
        let text = ahead.map_or_else(|| map(-1, len), |mapped| Ok(mapped.text.0))?;
        // SAFETY: a mapping of at least `len` bytes that nothing else refers to, and that is unmapped by `Mapped` only.
        let bytes = unsafe { core::slice::from_raw_parts_mut(text, len) };
        match inline {
            Some(inline) => bytes.iter_mut().zip(inline).for_each(|(to, from)| *to = *from),
            None => read_at(self.payload, bytes)?,
        }
        let bytes = &*bytes;
        let counts = [word(bytes, 0) as usize, word(bytes, 4) as usize, word(bytes, 8) as usize];
        let strings = counts.iter().try_fold(0usize, |sum, n| sum.checked_add(*n)).filter(|n| *n < len);
        let table_len = (strings.ok_or(EINVAL)? + counts.len()) * 8;
        let table = ahead.map_or_else(|| map(-1, table_len), |mapped| Ok(mapped.table.0))?;
        self.fill(bytes, counts, table.cast()).ok_or(EINVAL)?;
        Ok(Mapped { text: (text, len), table: (table, table_len) })
    }

    /// Fills the three tables of pointers (programs, argv, envp), each with its NULL.
    fn fill(&mut self, bytes: &[u8], counts: [usize; 3], table: *mut *const u8) -> Option<()> {
        let mut at = 12;
        let mut next = || -> Option<*const u8> {
            let rest = bytes.get(at..)?;
            at += rest.iter().position(|b| *b == 0)? + 1;
            Some(rest.as_ptr())
        };
        self.cwd = next()?;
        let mut slot = table;
        for (count, start) in counts.iter().zip([&mut self.programs, &mut self.argv, &mut self.envp]) {
            *start = slot;
            for _ in 0..*count {
                let text = next()?;
                // SAFETY: the table has room for every count and one NULL for each group.
                unsafe {
                    slot.write(text);
                    slot = slot.add(1);
                }
            }
            // SAFETY: as above: step over this group's NULL; fresh memory is zero.
            slot = unsafe { slot.add(1) };
        }
        self.end = bytes.get(at..)?.as_ptr();
        Some(())
    }

    /// The directory, with its NUL.
    pub fn directory(&self) -> &[u8] {
        // SAFETY: `read` has found the string, which lies in the mapped payload.
        unsafe { CStr::from_ptr(self.cwd.cast()).to_bytes_with_nul() }
    }

    /// The environment: each string with its NUL.
    pub fn environment(&self) -> &[u8] {
        // SAFETY: the table has at least its NULL; its strings follow one another up to `end` in the mapped payload.
        unsafe {
            let first = self.envp.read();
            if first.is_null() {
                return &[];
            }
            core::slice::from_raw_parts(first, self.end.offset_from_unsigned(first))
        }
    }

    /// The third argument: the script of `bash -c`.
    pub fn script(&self) -> Option<&'static CStr> {
        // SAFETY: the table ends with NULL; its strings lie in the payload, which is not unmapped.
        unsafe {
            let mut argument = self.argv;
            for _ in 0..2 {
                if argument.read().is_null() {
                    return None;
                }
                argument = argument.add(1);
            }
            let script = argument.read();
            (!script.is_null()).then(|| CStr::from_ptr(script.cast()))
        }
    }

    /// Puts descriptors and directory in place; errno, with [`NO_CWD`] when it is the directory's.
    pub fn place(&self) -> Result<(), u32> {
        if self.stdio[0] < 0 {
            take_null().map_err(|e| e as u32)?;
        }
        self.place_descriptors()?;
        check(syscall!(CHDIR, self.cwd)).map(drop).map_err(|e| e as u32 | NO_CWD)
    }

    /// Puts descriptors in place, but for a stdin that is nothing.
    pub fn place_descriptors(&self) -> Result<(), u32> {
        let duplicate = |from: i32, to: i32| match from {
            ..0 => Ok(()),
            // It is there already, but would be closed on exec.
            from if from == to => check(syscall!(FCNTL, from, F_SETFD, 0)).map(drop),
            from => check(syscall!(DUP2, from, to)).map(drop),
        };
        const F_SETFD: u32 = 2;
        let places = self.stdio.into_iter().zip(0..).chain([(self.script, FD_SCRIPT)]);
        for (from, to) in places {
            duplicate(from, to).map_err(|e| e as u32)?;
        }
        Ok(())
    }

    /// Closes every descriptor that is not the action's.
    pub fn close_others(&self) {
        if self.script >= 0 {
            syscall!(CLOSE_RANGE, 3, FD_SCRIPT - 1, 0);
            syscall!(CLOSE_RANGE, FD_SCRIPT + 1, u32::MAX, 0);
        } else {
            syscall!(CLOSE_RANGE, 3, u32::MAX, 0);
        }
    }
}

/// Makes stdin the null device.
pub fn take_null() -> Result<(), i32> {
    let null = open(c"/dev/null", 0, 0)?;
    let done = check(syscall!(DUP2, null, 0)).map(drop);
    close(null);
    done
}
