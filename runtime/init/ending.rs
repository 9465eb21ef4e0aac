//! The end of a script, heard of before the kernel has taken its memory apart, which takes as long as a short script: a script
//! says when it exits, in the call that ends it, and waits in the kernel until process 1 lets it go. It cannot do anything
//! any more, so who waits for it is told at once; its memory goes while nobody waits.
//!
//! The call is exit_group(2) with a mark in the half of its status that the kernel does not look at; the filter of system
//! calls holds it there, and process 1 hears of it (seccomp_unotify(2)). Compiled into process 1, and into the library by which
//! it becomes a bash (`ahead/`).

use crate::sys::*;
use crate::used::Used;
use crate::wire::{ENDING, FD_COUNT, FD_ENDINGS};

/// Who is in the group then: process 1 and the script.
const ALONE: &[u8] = b"2\n";

/// Raises the filter of system calls. Returns what hears of endings, or −1 where the kernel has no such thing (before 5.19,
/// or because somebody around us listens already): then they are heard of as those of other processes are.
#[allow(dead_code, reason = "a bash has it from process 1")]
pub fn filter(program: &BpfProgram) -> Result<i32, i32> {
    const SET_MODE_FILTER: u32 = 1;
    const NEW_LISTENER: u32 = 1 << 3;
    const WAIT_KILLABLE: u32 = 1 << 5;
    const SET_FLAGS: u32 = 0x4008_2104;
    const WAKES_HERE: u32 = 1;
    let raise = |flags: u32| check(syscall!(SECCOMP, SET_MODE_FILTER, flags, core::ptr::from_ref(program)));
    if let Ok(listener) = raise(NEW_LISTENER | WAIT_KILLABLE) {
        // Since 6.6; otherwise who listens may be woken on another processor.
        syscall!(IOCTL, listener, SET_FLAGS, WAKES_HERE);
        return Ok(listener as i32);
    }
    raise(0).map(|_| -1)
}

/// struct sock_fprog
#[repr(C)]
pub struct BpfProgram {
    pub len: u16,
    pub code: *const u8,
}

/// Ends this process, which is a script, and says so. Returns where nobody hears it.
#[allow(dead_code, reason = "process 1 is no script")]
pub fn tell(status: i32) {
    let used = Used::by(Used::ITSELF).and(Used::by(Used::CHILDREN));
    syscall!(EXIT_GROUP, (ENDING as usize) << 32 | (status & 0xff) as usize, used.micros, used.peak);
}

/// A script that has said its end, and waits to be let go.
#[derive(Clone, Copy)]
pub struct Ending {
    id: u64,
    pub pid: i32,
    /// As wait(2) will tell it.
    pub status: u32,
    /// As the script says, which may say what it likes of itself.
    pub used: Used,
}

/// Process 1's ear.
#[derive(Clone, Copy)]
pub struct Endings {
    listener: i32,
    /// Says how many processes are in the group; −1 where nothing does.
    count: i32,
}

impl Endings {
    /// That of [`filter`].
    #[allow(dead_code, reason = "a bash has it from process 1")]
    pub fn of(listener: i32) -> Option<Endings> {
        (listener >= 0).then_some(Endings { listener, count: -1 })
    }

    /// That which was passed on to this process.
    #[allow(dead_code, reason = "only a bash was something else before")]
    pub fn of_self() -> Option<Endings> {
        const F_GETFD: u32 = 1;
        // Nothing else survives the exec with such a number.
        let open = |fd: i32| check(syscall!(FCNTL, fd, F_GETFD)).map(|_| fd);
        Some(Endings { listener: open(FD_ENDINGS).ok()?, count: open(FD_COUNT).unwrap_or(-1) })
    }

    /// Has the program that this process is about to become hear of endings; with a `count`, before they are there.
    #[allow(dead_code, reason = "a bash becomes nothing else")]
    pub fn pass_on(self, count: Option<i32>) {
        const DUPFD_CLOEXEC: u32 = 1030;
        // Neither may have the other's number while it is moved.
        let aside = |fd: i32| check(syscall!(FCNTL, fd, DUPFD_CLOEXEC, FD_COUNT + 1));
        let (count, listener) = (count.map(aside), aside(self.listener));
        if let Some(Ok(count)) = count {
            syscall!(DUP2, count, FD_COUNT);
        }
        if let Ok(listener) = listener {
            syscall!(DUP2, listener, FD_ENDINGS);
        }
    }

    /// What can be read when one has come.
    pub fn fd(self) -> i32 {
        self.listener
    }

    /// Whether ends can be told early.
    #[allow(dead_code, reason = "only a bash starts scripts that tell")]
    pub fn can_tell(self) -> bool {
        self.count >= 0
    }

    /// Who has said that it ends, if that is this script and nobody else is left. All others go on as if they had not
    /// been held.
    pub fn hear(self, script: Option<i32>) -> Option<Ending> {
        const RECEIVE: u32 = 0xc050_2100;
        // struct seccomp_notif: id, pid and flags, then struct seccomp_data: number and architecture, place, six arguments.
        let mut notice = [0u64; 10];
        check(syscall!(IOCTL, self.listener, RECEIVE, notice.as_mut_ptr())).ok()?;
        let [id, who, _, _, status, micros, peak, ..] = notice;
        let ending = Ending {
            id,
            pid: who as i32,
            status: (status as u32 & 0xff) << 8,
            used: Used { micros, peak: peak.min(u32::MAX.into()) },
        };
        if script == Some(ending.pid) && self.is_alone() {
            return Some(ending);
        }
        self.let_go(&ending);
        None
    }

    /// Whether nobody but process 1 and one more is there: what a script has left running is killed before its end is told.
    fn is_alone(self) -> bool {
        let mut count = [0u8; 8];
        let len = syscall!(PREAD64, self.count, count.as_mut_ptr(), count.len(), 0);
        count.get(..len.max(0) as usize) == Some(ALONE)
    }

    /// Has it end, one way or the other.
    pub fn let_go(self, ending: &Ending) {
        const SEND: u32 = 0xc018_2101;
        const CONTINUE: u64 = 1;
        // struct seccomp_notif_resp: id, value, error and flags
        let answer = [ending.id, 0, CONTINUE << 32];
        let is_free = check(syscall!(IOCTL, self.listener, SEND, answer.as_ptr())).is_ok();
        if !is_free && ending.pid > 1 {
            syscall!(KILL, ending.pid, SIGKILL);
        }
    }
}
