//! A network namespace of its own. It takes the kernel as long as all the rest of the set-up: where a processor has nothing
//! else to do, a second thread makes it while this one mounts. No wall is raised around that thread, and none is said to
//! stand before it has ended.

use crate::action::CHILD_STACK;
use crate::place;
use crate::room::CHILD;
use crate::sys::*;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

const CLONE_NEWNET: u32 = 0x4000_0000;

/// This process's network namespace to come.
pub enum Network {
    /// It is in it already.
    Made,
    /// It makes one when it has to enter it.
    NotYet,
    /// A second thread makes one.
    Coming(Coming),
}

/// A network namespace that is being made.
pub struct Coming(*mut Made);

/// What the second thread says when it has ended.
struct Made {
    /// 0 when it has ended.
    thread: AtomicU32,
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
        // SAFETY: there is no child yet. `made` lies at the lower end of its stack, far below what `second` puts on it.
        let thread = unsafe {
            made.write(Made { thread: AtomicU32::new(1), namespace: -(EINVAL as isize), proc });
            let ended = (&raw mut (*made).thread).cast();
            thread(CHILD.start().add(CHILD_STACK), second, made.cast(), ended)
        };
        place::stay_elsewhere(check(thread)? as i32);
        Ok(Network::Coming(Coming(made)))
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
        const FUTEX_WAIT: u32 = 0;
        // SAFETY: this word alone is both threads' until the other one has ended.
        let thread = unsafe { &(*self.0).thread };
        loop {
            match thread.load(Ordering::Acquire) {
                0 => break,
                one => syscall!(FUTEX, core::ptr::from_ref(thread), FUTEX_WAIT, one, 0),
            };
        }
        // SAFETY: the thread that wrote it has ended.
        let (namespace, proc) = unsafe { ((*self.0).namespace, (*self.0).proc) };
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

/// The second thread. It ends with what it has made.
extern "C" fn second(arg: *mut u8) -> ! {
    const OWN: &CStr = c"thread-self/ns/net";
    let made = arg.cast::<Made>();
    // SAFETY: but for the first word it is nobody else's until this thread has ended.
    let (proc, slot) = unsafe { ((*made).proc, &raw mut (*made).namespace) };
    let namespace = match make() {
        Ok(()) => syscall!(OPENAT, proc, OWN.as_ptr(), O_CLOEXEC),
        Err(errno) => -(errno as isize),
    };
    // SAFETY: as above.
    unsafe { slot.write(namespace) };
    end_thread()
}
