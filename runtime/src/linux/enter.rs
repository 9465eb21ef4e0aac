//! Starts process 1 of a sandbox: one clone into fresh namespaces that shares the caller's memory until exec, so nothing
//! is copied, whatever the caller's size, and nothing of the caller runs inside.

use super::identity::Borrowed;
use super::wire::{SIGNAL_KILL, SIGNAL_TERM};
use crate::birth::{self, Child, Stage};
use crate::plan::UID;
use crate::sys as raw;
use crate::{Error, Host};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use std::arch::asm;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The program of process 1, built by `build.rs` from `init/`.
static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sbx-init"));

/// Bytes of the child's stack until exec.
const STACK: usize = 64 << 10;
/// Process 1. Dropping it kills it, and with it everything in its PID namespace.
#[derive(Debug)]
pub(crate) struct Init {
    pidfd: OwnedFd,
    is_in_group: bool,
    /// The process that started it.
    owner: u32,
}

impl Init {
    fn new(pidfd: OwnedFd, is_in_group: bool) -> Init {
        Init { pidfd, is_in_group, owner: std::process::id() }
    }

    /// Whether this process started it, and is not a fork of that: two who speak on one socket take each other's answers.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    pub(crate) fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Has it end its action: at once, or by SIGTERM. What is said when the action has ended already is heard with the next
    /// one, unless process 1 is told to forget it.
    pub(crate) fn end_action(&self, at_once: bool) {
        const {
            assert!(
                Signal::USR1.as_raw() as u32 == SIGNAL_TERM && Signal::USR2.as_raw() as u32 == SIGNAL_KILL
            )
        };
        let signal = if at_once { Signal::USR2 } else { Signal::USR1 };
        // Where nobody is left there is nothing to end.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
    }

    /// One that was started already.
    pub(crate) fn of(pidfd: OwnedFd) -> Init {
        Init::new(pidfd, false)
    }

    /// Whether it began in its cgroup.
    pub(crate) fn is_in_group(&self) -> bool {
        self.is_in_group
    }

    /// Leaves it to another process to kill it, and to remove the directories of its cgroups when its end has come. False
    /// when none could be found.
    pub(crate) fn leave(&self, groups: Vec<PathBuf>) -> bool {
        super::leave::start(&self.pidfd, groups)
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        // A fork, as of Python's multiprocessing, that drops its copy does not end the sandbox of the process it comes from.
        if !self.is_ours() {
            return;
        }
        self.kill();
        // Someone else in this process may have reaped it with wait(-1); then it is gone all the same.
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
        {}
    }
}

/// Starts process 1 with its control socket, in a cgroup of version 2 where one is given and the kernel can.
pub(crate) fn start(host: &Host, control: BorrowedFd<'_>, group: Option<&File>) -> Result<Init, Error> {
    let init = program().map_err(|e| Error::system("the program of process 1", e))?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|e| Error::system("/dev/null", e))?;
    let fds = [null.as_raw_fd(), control.as_raw_fd(), init.as_raw_fd()];
    let mut child = Child::new(fds, UID, (host.uid, host.gid));
    let ours = rustix::process::geteuid().as_raw();
    // Mapping a user takes being that user.
    let borrowed = (host.uid != ours).then(|| Borrowed::take(host.uid, host.gid)).transpose();
    let borrowed = borrowed.map_err(|e| Error::system("the identity of the workspace's owner", e))?;
    // Not filled: what the child does not reach costs no page.
    let mut stack: Vec<u8> = Vec::with_capacity(STACK);
    let mut pidfd: c_int = -1;
    let is_in_group;
    let flags = birth::NAMESPACES | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as usize;
    // SAFETY: sigset functions fill the sets they are given; a set of zeroes is valid storage.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: the child shares this memory until it execs; this thread sleeps meanwhile (CLONE_VFORK), and with every
    // signal blocked no handler runs in the child. Stack and `child` outlive the call. The stack's top is 16-aligned.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.as_mut_ptr().add(STACK);
        let top = top.sub(top as usize % 16);
        let arg = (&raw mut child).cast::<u8>();
        let born = group.is_some_and(|group| {
            let stack = (stack.as_mut_ptr(), top);
            clone_into(group.as_raw_fd(), flags, stack, arg, &raw mut pidfd) > 0
        });
        is_in_group = born;
        let pid = if born { 1 } else { raw::clone(flags, top, &raw mut pidfd, birth::run, arg) };
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(Error::Setup {
                step: 0,
                what: "new namespaces".into(),
                reason: io::Error::from_raw_os_error(-pid as i32),
                hint: NAMESPACE_HINT,
            });
        }
    }
    drop(borrowed);
    // SAFETY: the kernel stored a fresh descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let init = Init::new(pidfd, is_in_group);
    if child.errno != 0 {
        let reason = io::Error::from_raw_os_error(child.errno);
        let hint = match (child.errno, child.stage) {
            // They are moved above those that process 1 has.
            (libc::EMFILE, _) | (libc::EINVAL, Stage::Descriptors) => FILES_HINT,
            (libc::EPERM, Stage::MapUser) if host.uid == 0 => ROOT_HINT,
            _ => NAMESPACE_HINT,
        };
        return Err(Error::Setup { step: 0, what: what(child.stage).into(), reason, hint });
    }
    Ok(init)
}

/// As clone(2) with [`birth::run`], in a cgroup of version 2 (clone3(2), `CLONE_INTO_CGROUP`). The process, or minus an errno.
///
/// # Safety
/// As for clone: `stack` is its lowest and highest address, `arg` a [`Child`].
unsafe fn clone_into(
    group: RawFd,
    flags: usize,
    stack: (*mut u8, *mut u8),
    arg: *mut u8,
    pidfd: *mut c_int,
) -> isize {
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let flags = flags as u64;
    let size = stack.1 as u64 - stack.0 as u64;
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    let args: [u64; 11] = [
        flags | CLONE_INTO_CGROUP,
        pidfd as u64,
        0,
        0,
        libc::SIGCHLD as u64,
        stack.0 as u64,
        size,
        0,
        0,
        0,
        group as u64,
    ];
    let result: isize;
    // SAFETY: the child runs only `birth::run`, which does not return, on `stack`; the parent continues at 2.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r13", "call r12", "ud2", "2:",
             inlateout("rax") libc::SYS_clone3 as isize => result, in("rdi") args.as_ptr(), in("rsi") size_of_val(&args),
             in("r12") birth::run as extern "C" fn(*mut u8) -> !, in("r13") arg, lateout("rcx") _,
             lateout("r11") _);
    }
    result
}

/// What process 1 was about, in words.
fn what(stage: Stage) -> &'static str {
    match stage {
        Stage::Nothing => "clone",
        Stage::DenyGroups => "deny setgroups",
        Stage::MapUser => "map the user",
        Stage::MapGroup => "map the group",
        Stage::TakeGroup => "take the group",
        Stage::TakeUser => "take the user",
        Stage::Capabilities => "keep capabilities for set-up",
        Stage::Descriptors => "descriptors",
        Stage::Exec => "start process 1",
    }
}

const ROOT_HINT: &str =
    "; root without CAP_SETFCAP, as in some containers, cannot be mapped: run sbx as an ordinary user";
const FILES_HINT: &str = "; a live sandbox takes four descriptors: raise `ulimit -n`";
const NAMESPACE_HINT: &str = "; unprivileged user namespaces may be off on this host: see `sbx doctor`";

fn program() -> io::Result<BorrowedFd<'static>> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(file.as_fd());
    }
    let file = super::sys::sealed_file(INIT)?;
    Ok(FILE.get_or_init(|| file).as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn process_1_begins_in_its_cgroup_where_that_is_of_version_2() {
        let Some(dir) = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].into_iter().find_map(|top| {
            std::fs::metadata(format!("{top}/cgroup.procs")).ok()?;
            let dir = std::path::PathBuf::from(format!("{top}/sbx-{}-test", std::process::id()));
            std::fs::create_dir(&dir).ok().map(|()| dir)
        }) else {
            eprintln!("skipped: no cgroup of version 2 can be made here");
            return;
        };
        let group = File::open(&dir).unwrap();
        let (_ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let init = start(&Host::probe(), theirs.as_fd(), Some(&group)).unwrap();
        let inside = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        let is_in_group = init.is_in_group();
        drop(init);
        std::fs::remove_dir(&dir).unwrap();
        assert!(is_in_group);
        // The process that makes its network may be there too.
        assert!((1..=2).contains(&inside.lines().count()), "{inside}");
    }

    #[test]
    fn a_fork_does_not_end_what_the_process_it_comes_from_started() {
        let (_ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let Ok(init) = start(&Host::probe(), theirs.as_fd(), None) else {
            eprintln!("SKIPPED: no namespaces on this host");
            return;
        };
        // SAFETY: the child of a program with threads calls nothing but close(2), getpid(2) and _exit(2).
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(init);
            // SAFETY: no destructor is to run twice.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: a child of ours that nobody else waits for.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        assert!(rustix::process::waitid(WaitId::PidFd(init.pidfd.as_fd()), ended).unwrap().is_none());
    }
}
