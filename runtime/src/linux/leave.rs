//! Leaves the end of a sandbox to a process of its own, for a program that ends now: its caller need not wait until the
//! kernel has taken the mounts and namespaces down, which takes as long as many an action.

use std::arch::asm;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Bytes of the process's stack.
const STACK: usize = 16 << 10;
/// How often a directory's removal is tried, a millisecond apart: dead processes leave a group a moment after their end.
const TRIES: usize = 1000;

/// What the process needs. It is never freed: the process may outlive everything else here.
struct Rest {
    process1: c_int,
    groups: Vec<*const c_char>,
}

/// Starts a process that waits for the end of process 1, removes the directories of its cgroups, and ends. It shares this
/// process's memory, which is therefore not copied, and none of its descriptors but `process1`. False when it could not
/// be started.
pub(super) fn start(process1: &OwnedFd, groups: Vec<PathBuf>) -> bool {
    let groups = groups.into_iter().filter_map(|dir| CString::new(dir.into_os_string().into_vec()).ok());
    let groups = groups.map(|dir| dir.into_raw().cast_const()).collect();
    let rest: &'static Rest = Box::leak(Box::new(Rest { process1: process1.as_raw_fd(), groups }));
    let stack = Box::leak(Box::<[u8]>::new_uninit_slice(STACK));
    // SAFETY: sigset functions fill the sets they are given; a set of zeroes is valid storage. With every signal blocked
    // no handler runs in the child, which uses only `rest`, its own stack, and system calls that leave errno alone.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.as_mut_ptr().cast::<u8>().add(STACK);
        let top = top.sub(top as usize % 16);
        let rest = (&raw const *rest).cast_mut().cast::<c_void>();
        // No signal at its end: its parent is gone by then.
        let pid = libc::clone(run, top.cast(), libc::CLONE_VM, rest);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        pid > 0
    }
}

extern "C" fn run(rest: *mut c_void) -> c_int {
    let millisecond = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: `start` passes a `Rest` that lives as long as the memory itself.
    let rest = unsafe { &*rest.cast::<Rest>() };
    let fd = rest.process1 as usize;
    call(libc::SYS_setsid, [0; 3]);
    call(libc::SYS_chdir, [c"/".as_ptr() as usize, 0, 0]);
    // A reader of the program's output waits for the end of all who hold it.
    if fd > 0 {
        call(libc::SYS_close_range, [0, fd - 1, 0]);
    }
    call(libc::SYS_close_range, [fd + 1, u32::MAX as usize, 0]);
    let mut wait = libc::pollfd { fd: rest.process1, events: libc::POLLIN, revents: 0 };
    call(libc::SYS_poll, [(&raw mut wait) as usize, 1, usize::MAX]);
    for dir in &rest.groups {
        for _ in 0..TRIES {
            if call(libc::SYS_rmdir, [*dir as usize, 0, 0]) != -(libc::EBUSY as isize) {
                break;
            }
            call(libc::SYS_nanosleep, [(&raw const millisecond) as usize, 0, 0]);
        }
    }
    call(libc::SYS_exit_group, [0; 3]);
    0
}

/// A system call that does not touch errno, which is another process's here.
fn call(number: libc::c_long, a: [usize; 3]) -> isize {
    let result: isize;
    // SAFETY: `run` passes numbers, and pointers to what lives as long as this process.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}
