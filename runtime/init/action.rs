//! Starts actions and waits for them. One at a time; nothing that an action started outlives it.

use crate::put;
use crate::sys::*;
use crate::wire::*;
use crate::word;

/// An action as the library sent it: pointers into the mapped payload.
struct Start {
    /// Programs to try in turn, NULL-terminated.
    programs: *const *const u8,
    argv: *const *const u8,
    envp: *const *const u8,
    cwd: *const u8,
    stdio: [i32; 3],
    script: i32,
    /// Set by the child when no program could be started.
    errno: i32,
    /// 1 when the directory could not be entered.
    no_cwd: bool,
}

impl Start {
    fn new(fds: &[i32]) -> Start {
        let fd = |i: usize| fds.get(i).copied().unwrap_or(-1);
        let null = core::ptr::null();
        Start {
            programs: null,
            argv: null.cast(),
            envp: null.cast(),
            cwd: null.cast(),
            stdio: [fd(0), fd(1), fd(2)],
            script: fd(4),
            errno: 0,
            no_cwd: false,
        }
    }
}

/// Serves requests until the library is gone.
pub fn serve() -> ! {
    let signals = child_signals();
    let mut stack = [0u8; 16 * 1024];
    loop {
        let mut buffer = [0u8; 64];
        let mut fds = Cmsg::new();
        if receive(FD_CONTROL, &mut buffer, &mut fds) < 4 {
            exit(0);
        }
        if word(&buffer, 0) == MSG_RUN {
            run(fds.fds(), signals, &mut stack);
        } else {
            fds.fds().iter().for_each(|fd| close(*fd));
        }
    }
}

fn child_signals() -> i32 {
    const CLOEXEC_NONBLOCK: u32 = 0o2_000_000 | 0o4000;
    let mask = 1u64 << (SIGCHLD - 1);
    match check(syscall!(SIGNALFD4, -1i32, &raw const mask, 8, CLOEXEC_NONBLOCK)) {
        Ok(fd) => fd as i32,
        Err(_) => exit(94),
    }
}

fn run(fds: &[i32], signals: i32, stack: &mut [u8; 16 * 1024]) {
    let mut start = Start::new(fds);
    let started = spawn(fds, &mut start, stack);
    // The child has its own copies; ours would keep the pipes open.
    fds.iter().for_each(|fd| close(*fd));
    match started {
        Ok(pid) => wait(pid, signals, &start),
        Err(e) => done(0, e, 0),
    }
}

fn spawn(fds: &[i32], start: &mut Start, stack: &mut [u8; 16 * 1024]) -> Result<i32, i32> {
    let payload = *fds.get(3).ok_or(EINVAL)?;
    let len = file_len(payload)?.max(1);
    let text = map(payload, len)?;
    // SAFETY: a private mapping of `len` bytes, unmapped at the end of this function.
    let bytes = unsafe { core::slice::from_raw_parts(text, len) };
    let pid = spawn_payload(bytes, start, stack);
    unmap(text, len);
    pid
}

fn spawn_payload(bytes: &[u8], start: &mut Start, stack: &mut [u8; 16 * 1024]) -> Result<i32, i32> {
    // Three tables of pointers into the payload (programs, argv, envp), each with its NULL.
    let counts = [word(bytes, 0) as usize, word(bytes, 4) as usize, word(bytes, 8) as usize];
    let table_len = (counts.iter().sum::<usize>() + 3) * 8;
    let table = map(-1, table_len)?;
    start.programs = table.cast();
    let pid = if fill(bytes, counts, table.cast(), start) {
        // SAFETY: one past the end of our own, otherwise unused stack.
        let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
        let top = (top as usize & !15) as *mut u8;
        // SAFETY: the stack is free; `child` never returns and touches only `start`, which outlives it.
        check(unsafe { vfork(top, child, (start as *mut Start).cast()) }).map(|pid| pid as i32)
    } else {
        Err(EINVAL)
    };
    unmap(table, table_len);
    pid
}

/// Fills the pointer tables. The payload is: three counts, then NUL-terminated strings: cwd, programs, argv, envp.
fn fill(bytes: &[u8], counts: [usize; 3], table: *mut *const u8, start: &mut Start) -> bool {
    let mut at = 12;
    let mut next = || -> Option<*const u8> {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        at += end + 1;
        Some(rest.as_ptr())
    };
    let Some(cwd) = next() else { return false };
    start.cwd = cwd;
    let mut slot = table;
    for (i, count) in counts.iter().enumerate() {
        match i {
            1 => start.argv = slot,
            2 => start.envp = slot,
            _ => {}
        }
        for _ in 0..*count {
            let Some(text) = next() else { return false };
            // SAFETY: the table has room for every count and one NULL for each group; fresh memory is zero.
            unsafe {
                slot.write(text);
                slot = slot.add(1);
            }
        }
        // SAFETY: as above: step over this group's NULL.
        slot = unsafe { slot.add(1) };
    }
    true
}

/// The child between vfork and exec: descriptors, directory, signals, exec. No allocation, no lock, no return.
extern "C" fn child(arg: *mut u8) -> ! {
    // SAFETY: `arg` is the parent's `Start`; the parent sleeps until this process execs or exits.
    let start = unsafe { &mut *arg.cast::<Start>() };
    syscall!(SETSID);
    // Move the sources out of the way first: a source may itself be 0, 1 or 2.
    for fd in start.stdio.iter_mut().chain(core::iter::once(&mut start.script)) {
        if *fd >= 0 {
            const F_DUPFD: u32 = 0;
            match check(syscall!(72, *fd, F_DUPFD, 20)) {
                Ok(n) => *fd = n as i32,
                Err(e) => fail(start, e),
            }
        }
    }
    for (i, fd) in start.stdio.iter().enumerate() {
        syscall!(DUP2, *fd, i);
    }
    if start.script >= 0 {
        syscall!(DUP2, start.script, FD_SCRIPT);
        syscall!(CLOSE_RANGE, 3, FD_SCRIPT - 1, 0);
        syscall!(CLOSE_RANGE, FD_SCRIPT + 1, u32::MAX, 0);
    } else {
        syscall!(CLOSE_RANGE, 3, u32::MAX, 0);
    }
    syscall!(UMASK, 0o022);
    if let Err(e) = check(syscall!(CHDIR, start.cwd)) {
        start.no_cwd = true;
        fail(start, e);
    }
    unblock_signals();
    let mut denied = ENOENT;
    let mut program = start.programs;
    loop {
        // SAFETY: the table ends with NULL.
        let path = unsafe { program.read() };
        if path.is_null() {
            fail(start, denied);
        }
        match -syscall!(EXECVE, path, start.argv, start.envp) as i32 {
            ENOENT | ENOTDIR => {}
            EACCES => denied = EACCES,
            e => fail(start, e),
        }
        // SAFETY: not yet at the NULL.
        program = unsafe { program.add(1) };
    }
}

fn fail(start: &mut Start, errno: i32) -> ! {
    start.errno = errno;
    exit(127)
}

/// Waits for the action's first process, then kills and reaps all that it left. Meanwhile passes signals on.
fn wait(pid: i32, signals: i32, start: &Start) {
    let mut status = 0;
    while !reap_one(pid, &mut status) {
        let mut fds = [(i64::from(FD_CONTROL) & 0xffff_ffff) | (1 << 32), (i64::from(signals) & 0xffff_ffff) | (1 << 32)];
        syscall!(POLL, fds.as_mut_ptr(), 2, -1i32);
        if fds[1] >> 48 != 0 {
            let mut info = [0u8; 128 * 8];
            syscall!(READ, signals, info.as_mut_ptr(), info.len());
        }
        if fds[0] >> 48 != 0 {
            let mut buffer = [0u8; 64];
            let mut passed = Cmsg::new();
            if receive(FD_CONTROL, &mut buffer, &mut passed) < 4 {
                exit(0); // The library is gone: the kernel kills the rest with this process.
            }
            for fd in passed.fds() {
                close(*fd);
            }
            if word(&buffer, 0) == MSG_KILL {
                // −1 is every process of this PID namespace but this one.
                syscall!(KILL, -1i32, word(&buffer, 4));
            }
        }
    }
    let left = sweep();
    let errno = if start.no_cwd { start.errno | 0x1000 } else { start.errno };
    done(status, errno, left);
}

/// Reaps whatever has ended; true when `pid` was among it.
fn reap_one(pid: i32, status: &mut u32) -> bool {
    const WNOHANG: u32 = 1;
    loop {
        let mut s = 0u32;
        match check(syscall!(WAIT4, -1i32, &raw mut s, WNOHANG, 0)) {
            Ok(p) if p as i32 == pid => {
                *status = s;
                return true;
            }
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// Kills every other process of the namespace and reaps it. The kernel holds the task list while it signals, and a fork
/// in flight fails on the pending signal, so nothing slips through.
fn sweep() -> u32 {
    let mut left = 0;
    loop {
        syscall!(KILL, -1i32, SIGKILL);
        let mut s = 0u32;
        match check(syscall!(WAIT4, -1i32, &raw mut s, 0, 0)) {
            Ok(_) => left += 1,
            Err(EINTR) => {}
            Err(_) => return left,
        }
    }
}

fn done(status: u32, errno: i32, left: u32) {
    const RUSAGE_CHILDREN: i32 = -1;
    let mut usage = [0i64; 18];
    syscall!(GETRUSAGE, RUSAGE_CHILDREN, usage.as_mut_ptr());
    let micros = |at: usize| {
        let s = usage.get(at).copied().unwrap_or(0);
        s * 1_000_000 + usage.get(at + 1).copied().unwrap_or(0)
    };
    let mut m = [0u8; DONE_LEN];
    put(&mut m, 0, MSG_DONE);
    put(&mut m, 4, status);
    put(&mut m, 8, errno as u32);
    for (at, value) in [(12, micros(0)), (20, micros(2)), (28, usage[4])] {
        if let Some(slot) = m.get_mut(at..at + 8) {
            slot.copy_from_slice(&value.to_ne_bytes());
        }
    }
    put(&mut m, 36, left);
    send(FD_CONTROL, &m, &[]);
}
