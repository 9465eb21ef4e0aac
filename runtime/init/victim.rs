//! Who is to die when memory runs out: an action, and not process 1, which would take the sandbox with it. A process can
//! only be made a better victim, and only by whoever may write its file in /proc, which no wall lets an action do: so
//! process 1 is a better one for the moment in which it forks.

use crate::sys::*;
use crate::wire::FD_OOM;

/// In thousandths of the memory there is (proc_pid_oom_score_adj(5)).
const BETTER: &[u8] = b"500";
const AS_BEFORE: &[u8] = b"0";

/// Opens the file while the host's /proc is there; it stays open when process 1 becomes a bash. Without it (a /proc
/// that is read only) all are alike, and the null device has its number, so that nothing else ever gets it.
#[allow(dead_code, reason = "a bash has it from process 1")]
pub fn open_file() {
    const F_SETFD: u32 = 2;
    const NULL: i32 = 0;
    match open(c"/proc/self/oom_score_adj", O_WRONLY, 0) {
        Ok(FD_OOM) => {
            syscall!(FCNTL, FD_OOM, F_SETFD, 0);
        }
        Ok(fd) => {
            syscall!(DUP2, fd, FD_OOM);
            close(fd);
        }
        Err(_) => {
            syscall!(DUP2, NULL, FD_OOM);
        }
    }
}

/// Forks, by `fork`, a process that dies before this one.
pub fn before_this<T>(fork: impl FnOnce() -> T) -> T {
    let write = |text: &[u8]| syscall!(WRITE, FD_OOM, text.as_ptr(), text.len());
    write(BETTER);
    let forked = fork();
    // In the new process the file is this one's: it stays as it is there, and is closed with the rest.
    write(AS_BEFORE);
    forked
}
