//! A network namespace of its own. It takes the kernel as long as all the rest of the set-up: where a processor has nothing
//! else to do, a second process makes it while this one mounts.

use crate::action::CHILD_STACK;
use crate::place;
use crate::room::CHILD;
use crate::sys::*;
use core::ffi::CStr;

const CLONE_NEWNET: u32 = 0x4000_0000;

/// This process's network namespace to come.
pub enum Network {
    /// It is in it already.
    Made,
    /// It makes one when it has to enter it.
    NotYet,
    /// A second process makes one.
    Coming(Coming),
}

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

impl Network {
    /// Makes one now.
    pub fn now() -> Result<Network, i32> {
        make().map(|()| Network::Made)
    }

    /// Has one made on another processor.
    pub fn elsewhere() -> Result<Network, i32> {
        let proc = open(c"/proc", O_PATH | O_DIRECTORY, 0)?;
        let made = CHILD.start().cast::<Made>();
        // SAFETY: there is no other child yet. `made` lies at the lower end of its stack, far below what `second` puts on
        // it.
        let pid = check(unsafe {
            made.write(Made { namespace: -(EINVAL as isize), proc });
            beside(CHILD.start().add(CHILD_STACK), second, made.cast())
        })?;
        place::elsewhere(pid as i32);
        Ok(Network::Coming(Coming { pid: pid as i32, made }))
    }

    /// Enters it.
    pub fn enter(self) -> Result<(), i32> {
        match self {
            Network::Made => Ok(()),
            Network::NotYet => make(),
            Network::Coming(coming) => coming.enter(),
        }
    }
}

impl Coming {
    fn enter(self) -> Result<(), i32> {
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

fn make() -> Result<(), i32> {
    check(syscall!(UNSHARE, CLONE_NEWNET)).map(drop)
}

/// The second process. It ends with what it has made.
extern "C" fn second(arg: *mut u8) -> ! {
    // SAFETY: `arg` is the `Made`, which nobody else touches until this process has ended.
    let made = unsafe { &mut *arg.cast::<Made>() };
    const OWN: &CStr = c"self/ns/net";
    made.namespace = match make() {
        Ok(()) => syscall!(OPENAT, made.proc, OWN.as_ptr(), O_CLOEXEC),
        Err(errno) => -(errno as isize),
    };
    exit(0)
}
