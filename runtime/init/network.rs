//! A network namespace of its own, made by a second process while this one mounts: it takes the kernel as long as all the
//! rest of the set-up.

use crate::action::CHILD_STACK;
use crate::place;
use crate::room::CHILD;
use crate::sys::*;
use core::ffi::CStr;

const CLONE_NEWNET: u32 = 0x4000_0000;

/// A network namespace that is being made.
pub struct Coming {
    pid: i32,
    made: *mut Made,
}

/// What the second process says when it has ended. It shares this process's memory and descriptors.
struct Made {
    /// The namespace, or minus an errno.
    namespace: isize,
    /// The host's /proc.
    proc: i32,
}

impl Coming {
    /// Starts to make one; on another processor than this one, if that is wanted.
    pub fn start(elsewhere: bool) -> Result<Coming, i32> {
        let proc = open(c"/proc", O_PATH | O_DIRECTORY, 0)?;
        let made = CHILD.start().cast::<Made>();
        // SAFETY: there is no other child yet. `made` lies at the lower end of its stack, far below what `make` puts on it.
        let pid = check(unsafe {
            made.write(Made { namespace: -(EINVAL as isize), proc });
            beside(CHILD.start().add(CHILD_STACK), make, made.cast())
        })?;
        if elsewhere {
            place::elsewhere(pid as i32);
        }
        Ok(Coming { pid: pid as i32, made })
    }

    /// Waits until it is made, and enters it.
    pub fn enter(self) -> Result<(), i32> {
        while check(syscall!(WAIT4, self.pid, 0, 0, 0)) == Err(EINTR) {}
        // SAFETY: the process that wrote it has ended.
        let Made { namespace, proc } = unsafe { self.made.read() };
        close(proc);
        let namespace = check(namespace)? as i32;
        let entered = check(syscall!(SETNS, namespace, CLONE_NEWNET)).map(drop);
        close(namespace);
        entered
    }
}

/// The second process. It ends with what it has made.
extern "C" fn make(arg: *mut u8) -> ! {
    // SAFETY: `arg` is the `Made`, which nobody else touches until this process has ended.
    let made = unsafe { &mut *arg.cast::<Made>() };
    const OWN: &CStr = c"self/ns/net";
    made.namespace = match syscall!(UNSHARE, CLONE_NEWNET) {
        0 => syscall!(OPENAT, made.proc, OWN.as_ptr(), O_CLOEXEC),
        error => error,
    };
    exit(0)
}
