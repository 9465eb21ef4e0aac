//! The next bash, started while nobody waits. It is loaded and linked, and then stands still before its `main` until the
//! action comes: see `ahead/`. Whoever cannot be held back ends at once, and is not tried again.

use crate::sys::*;
use crate::wire::*;

/// A bash that stands before its `main`.
pub struct Held {
    pub pid: i32,
    socket: i32,
}

impl Held {
    /// Starts one.
    pub fn start(stack: *mut u8) -> Option<Held> {
        let [ours, mut theirs] = socket_pair().ok()?;
        // SAFETY: the stack is free; `child` never returns and only reads `theirs`, which outlives it.
        let pid = check(unsafe { vfork(stack, child, (&raw mut theirs).cast()) });
        close(theirs);
        match pid {
            Ok(pid) => Some(Held { pid: pid as i32, socket: ours }),
            Err(_) => {
                close(ours);
                None
            }
        }
    }

    /// Hands it an action; false when it is not there to take one.
    pub fn hand(&self, fds: &[i32]) -> bool {
        let mut buffer = [0u8; 4];
        // It says so when it stands; the end of the socket means that it is gone.
        receive(self.socket, &mut buffer, &mut Cmsg::new()) == 4 && send(self.socket, &buffer, fds) == 4
    }

    /// What it said before it ended: errno, when it could not become the action.
    pub fn failure(&self) -> u32 {
        let mut buffer = [0u8; 4];
        let said = receive_now(self.socket, &mut buffer, &mut Cmsg::new()) == 4;
        if said { crate::word(&buffer, 0) } else { 0 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        close(self.socket);
    }
}

/// The child between vfork and exec.
extern "C" fn child(arg: *mut u8) -> ! {
    // SAFETY: `arg` is the parent's descriptor; the parent sleeps until this process execs or exits.
    let socket = unsafe { *arg.cast::<i32>() };
    syscall!(SETSID);
    syscall!(DUP2, socket, FD_HELD);
    syscall!(CLOSE_RANGE, FD_HELD + 1, u32::MAX, 0);
    unblock_signals();
    let argv = [c"bash".as_ptr().cast::<u8>(), c"-c".as_ptr().cast(), c"".as_ptr().cast(), core::ptr::null()];
    let envp = [HELD_PRELOAD.as_ptr().cast::<u8>(), core::ptr::null()];
    syscall!(EXECVE, HELD_BASH.as_ptr(), argv.as_ptr(), envp.as_ptr());
    exit(127)
}
