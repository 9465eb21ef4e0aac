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

/// Has the program that this process is about to become hear of endings. `count` is a file that says how many processes are in
/// its group.
#[allow(dead_code, reason = "a bash has it from process 1")]
pub fn pass_on(listener: i32, count: i32) {
    const DUPFD_CLOEXEC: u32 = 1030;
    // Neither may have the other's number while it is moved.
    let aside = |fd: i32| check(syscall!(FCNTL, fd, DUPFD_CLOEXEC, FD_COUNT + 1));
    if let (Ok(count), Ok(listener)) = (aside(count), aside(listener)) {
        syscall!(DUP2, count, FD_COUNT);
        syscall!(DUP2, listener, FD_ENDINGS);
    }
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
pub struct Endings(());

impl Endings {
    /// `None` where this process does not hear of them.
    #[allow(dead_code, reason = "only a bash does")]
    pub fn of_self() -> Option<Endings> {
        const F_GETFD: u32 = 1;
        // Nothing else survives the exec with such a number.
        let is_open = |fd: i32| check(syscall!(FCNTL, fd, F_GETFD)).is_ok();
        (is_open(FD_ENDINGS) && is_open(FD_COUNT)).then_some(Endings(()))
    }

    /// Who has said that it ends, if that is this process and nobody else is left. All others go on as if they had not
    /// been held.
    pub fn hear(self, pid: i32) -> Option<Ending> {
        const RECEIVE: u32 = 0xc050_2100;
        // struct seccomp_notif: id, pid and flags, then struct seccomp_data: number and architecture, place, six arguments.
        let mut notice = [0u64; 10];
        check(syscall!(IOCTL, FD_ENDINGS, RECEIVE, notice.as_mut_ptr())).ok()?;
        let [id, who, _, _, status, micros, peak, ..] = notice;
        let ending = Ending {
            id,
            pid: who as i32,
            status: (status as u32 & 0xff) << 8,
            used: Used { micros, peak: peak.min(u32::MAX.into()) },
        };
        if ending.pid == pid && self.is_alone() {
            return Some(ending);
        }
        self.let_go(&ending);
        None
    }

    /// Whether nobody but process 1 and one more is there: what a script has left running is killed before its end is told.
    fn is_alone(self) -> bool {
        let mut count = [0u8; 8];
        let len = syscall!(PREAD64, FD_COUNT, count.as_mut_ptr(), count.len(), 0);
        count.get(..len.max(0) as usize) == Some(ALONE)
    }

    /// Has it end, one way or the other.
    pub fn let_go(self, ending: &Ending) {
        const SEND: u32 = 0xc018_2101;
        const CONTINUE: u64 = 1;
        // struct seccomp_notif_resp: id, value, error and flags
        let answer = [ending.id, 0, CONTINUE << 32];
        let is_free = check(syscall!(IOCTL, FD_ENDINGS, SEND, answer.as_ptr())).is_ok();
        if !is_free && ending.pid > 1 {
            syscall!(KILL, ending.pid, SIGKILL);
        }
    }
}
