//! Leaves the end of a sandbox to a process of its own, for a program that ends now: its caller need not wait until the
//! kernel has taken the mounts and namespaces down, which takes as long as many an action.

use crate::sys::*;

/// Bytes of the process's stack.
pub const STACK: usize = 16 << 10;
/// Most directories of cgroups.
pub const MOST_GROUPS: usize = 2;
/// How often a directory's removal is tried, a millisecond apart: dead processes leave a group a moment after their end.
const TRIES: usize = 1000;

/// What the process needs. It may outlive everything else of its program.
pub struct Rest {
    /// Its descriptor (pidfd).
    pub process1: i32,
    /// Process 1 is killed first. Otherwise it ends when the program does.
    pub kills: bool,
    /// Paths that end with NUL, or null.
    pub groups: [*const u8; MOST_GROUPS],
}

/// Starts a process that waits for the end of process 1, removes the directories of its cgroups, and ends. It shares this
/// process's memory, which is therefore not copied, and none of its descriptors but `process1`. False when it could not
/// be started.
///
/// # Safety
/// `rest`, its paths, and [`STACK`] bytes of stack below `top`, which is 16-byte aligned, stay and are used by nobody else.
pub unsafe fn start(rest: *const Rest, top: *mut u8) -> bool {
    const VM: usize = 0x100;
    // With every signal blocked no handler runs in the child.
    let before = mask_signals(!0);
    // SAFETY: the caller keeps this contract; `run` does not return and writes only to its stack.
    let pid = unsafe { clone(VM, top, core::ptr::null_mut(), run, rest.cast_mut().cast()) };
    mask_signals(before);
    pid > 0
}

extern "C" fn run(rest: *mut u8) -> ! {
    const RMDIR: usize = 84;
    const NANOSLEEP: usize = 35;
    const EBUSY: i32 = 16;
    const PIDFD_SEND_SIGNAL: usize = 424;
    let millisecond = [0i64, 1_000_000];
    // SAFETY: `start` passes a `Rest` that lives as long as the memory itself.
    let rest = unsafe { &*rest.cast::<Rest>() };
    let fd = rest.process1;
    setsid();
    syscall!(CHDIR, c"/".as_ptr());
    // A reader of the program's output waits for the end of all who hold it; and process 1, unless it is killed, for the end of
    // all who hold its socket.
    let close = |first: i32, last: u32| check(syscall!(CLOSE_RANGE, first, last, 0)).is_ok();
    let is_alone = (fd == 0 || close(0, fd as u32 - 1)) && close(fd + 1, u32::MAX);
    if !is_alone && !rest.kills {
        exit(0)
    }
    if rest.kills {
        // Not by the program itself: process 1 would run in its place.
        syscall!(PIDFD_SEND_SIGNAL, fd, SIGKILL, 0, 0);
    }
    readable(fd, -1);
    for dir in rest.groups.into_iter().filter(|dir| !dir.is_null()) {
        for _ in 0..TRIES {
            if check(syscall!(RMDIR, dir)) != Err(EBUSY) {
                break;
            }
            syscall!(NANOSLEEP, millisecond.as_ptr(), 0);
        }
    }
    exit(0)
}
