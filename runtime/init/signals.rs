//! What process 1 hears beside messages: that a child has ended, and that the library wants an action ended. The latter comes
//! as signals, because messages may be another process's to receive: one that waits for the next script.

use crate::ending::{Ending, Endings, Script};
use crate::message::word;
use crate::sys::*;
use crate::wire::*;

/// One `struct signalfd_siginfo`.
const INFO: usize = 128;
/// POLLIN of poll(2).
const READABLE: i64 = 1;
/// Signals that are read at once.
const ROOM: usize = 8;

/// How a child has ended.
pub enum Ended {
    Reaped(u32),
    /// It waits to be let go.
    Told(Ending),
}

impl Ended {
    /// As wait(2) tells it.
    pub fn status(&self) -> u32 {
        match self {
            Ended::Reaped(status) | Ended::Told(Ending { status, .. }) => *status,
        }
    }
}

/// A signalfd(2). All its signals are blocked.
pub struct Signals(i32);

impl Signals {
    pub fn new() -> Signals {
        const CLOEXEC_NONBLOCK: u32 = 0o2_000_000 | 0o4000;
        let mask =
            [SIGCHLD as u32, SIGNAL_TERM, SIGNAL_KILL].iter().fold(0u64, |mask, s| mask | (1 << (s - 1)));
        match check(syscall!(SIGNALFD4, -1i32, &raw const mask, 8, CLOEXEC_NONBLOCK)) {
            Ok(fd) => Signals(fd as i32),
            Err(_) => exit(94),
        }
    }

    /// Waits for the end of a child and returns its status. Meanwhile does what the library asks for, and reaps. Wakes up
    /// when `pipe`, where one is given, is written to: this processor sleeps less deeply from then on.
    /// The end of a `script` is also what it says itself, if that is heard.
    pub fn wait(
        &self,
        pid: i32,
        mut pipe: Option<i32>,
        (endings, script): (Option<Endings>, Option<&Script>),
    ) -> Ended {
        let endings_fd = endings.map_or(-1, Endings::fd);
        let readable = |fd: i32| (i64::from(fd) & 0xffff_ffff) | (READABLE << 32);
        let mut status = 0;
        loop {
            // Of the control socket only its end: messages come for whoever takes the next script.
            let mut fds =
                [i64::from(FD_CONTROL), readable(self.0), readable(pipe.unwrap_or(-1)), readable(endings_fd)];
            syscall!(POLL, fds.as_mut_ptr(), fds.len(), -1i32);
            if fds[0] >> 48 != 0 {
                exit(0); // The library is gone: the kernel kills the rest with this process.
            }
            if fds[2] >> 48 != 0 {
                pipe = None;
            }
            if fds[3] >> 48 & READABLE != 0
                && let Some(ending) = endings.and_then(|endings| endings.hear(script))
            {
                return Ended::Told(ending);
            }
            let mut infos = [0u8; INFO * ROOM];
            let len = read(self.0, &mut infos).max(0) as usize;
            for info in infos.get(..len).unwrap_or(&[]).chunks_exact(INFO) {
                if let Some(signal) = asked_for(info) {
                    // −1 is every process of this PID namespace but this one.
                    syscall!(KILL, -1i32, signal);
                }
            }
            if reap_one(pid, &mut status) {
                return Ended::Reaped(status);
            }
        }
    }

    /// Forgets what was asked for an action that has ended.
    pub fn forget(&self) {
        let mut infos = [0u8; INFO * ROOM];
        read(self.0, &mut infos);
    }
}

/// The signal that the library wants every process to get. An action can send these too: not with the code and the
/// sender of who is outside.
fn asked_for(info: &[u8]) -> Option<i32> {
    const SI_USER: u32 = 0;
    let (signal, code, sender) = (word(info, 0), word(info, 8), word(info, 12));
    match signal {
        SIGNAL_TERM if code == SI_USER && sender == 0 => Some(SIGTERM),
        SIGNAL_KILL if code == SI_USER && sender == 0 => Some(SIGKILL),
        _ => None,
    }
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
