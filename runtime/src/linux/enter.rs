//! Starts process 1 of a sandbox: one clone into fresh namespaces that shares the caller's memory until exec, so nothing
//! is copied, whatever the caller's size, and nothing of the caller runs inside.

use super::identity::Borrowed;
use crate::plan::UID;
use crate::{Error, Host};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use std::arch::asm;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The program of process 1, built by `build.rs` from `init/`.
static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sbx-init"));

/// All but the network's, which process 1 makes for itself while it mounts.
const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;
/// Bytes of the child's stack until exec.
const STACK: usize = 64 << 10;
/// Lowest number to which descriptors are moved before they get their places.
const ASIDE: c_int = 64;

/// Process 1. Dropping it kills it, and with it everything in its PID namespace.
#[derive(Debug)]
pub(crate) struct Init {
    pidfd: OwnedFd,
    is_in_group: bool,
}

impl Init {
    pub(crate) fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Whether it began in its cgroup.
    pub(crate) fn is_in_group(&self) -> bool {
        self.is_in_group
    }

    /// Kills it and does not wait for its end; when that has come, another process removes the directories of its cgroups.
    /// False when nobody could be found to do so.
    pub(crate) fn leave(&self, groups: Vec<PathBuf>) -> bool {
        self.kill();
        super::leave::start(&self.pidfd, groups)
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        self.kill();
        // Someone else in this process may have reaped it with wait(-1); then it is gone all the same.
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
        {}
    }
}

/// What the child needs, made before the clone: between clone and exec nothing allocates.
struct Child {
    fds: [RawFd; 3],
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
    argv: [*const c_char; 2],
    envp: [*const c_char; 1],
    stage: &'static str,
    errno: c_int,
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
    let mut child = Child {
        fds: [null.as_raw_fd(), control.as_raw_fd(), init.as_raw_fd()],
        uid_map: format!("{UID} {} 1", host.uid).into_bytes(),
        gid_map: format!("{UID} {} 1", host.gid).into_bytes(),
        argv: [c"sbx-init".as_ptr(), std::ptr::null()],
        envp: [std::ptr::null()],
        stage: "clone",
        errno: 0,
    };
    let ours = rustix::process::geteuid().as_raw();
    // Mapping a user takes being that user.
    let borrowed = (host.uid != ours).then(|| Borrowed::take(host.uid, host.gid)).transpose();
    let borrowed = borrowed.map_err(|e| Error::system("the identity of the workspace's owner", e))?;
    // Not filled: what the child does not reach costs no page.
    let mut stack: Vec<u8> = Vec::with_capacity(STACK);
    let mut pidfd: c_int = -1;
    let is_in_group;
    let flags = NAMESPACES | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
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
        let arg = (&raw mut child).cast::<c_void>();
        let born = group.is_some_and(|group| {
            let stack = (stack.as_mut_ptr(), top);
            clone_into(group.as_raw_fd(), flags, stack, arg, &raw mut pidfd) > 0
        });
        is_in_group = born;
        let pid = if born { 1 } else { libc::clone(run_child, top.cast(), flags, arg, &raw mut pidfd) };
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(Error::Setup {
                step: 0,
                what: "new namespaces".into(),
                reason: error,
                hint: NAMESPACE_HINT,
            });
        }
    }
    drop(borrowed);
    // SAFETY: the kernel stored a fresh descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let init = Init { pidfd, is_in_group };
    if child.errno != 0 {
        let reason = io::Error::from_raw_os_error(child.errno);
        let hint = match (child.errno, child.stage) {
            (libc::EMFILE, _) => FILES_HINT,
            (libc::EPERM, MAP_USER) if host.uid == 0 => ROOT_HINT,
            _ => NAMESPACE_HINT,
        };
        return Err(Error::Setup { step: 0, what: child.stage.into(), reason, hint });
    }
    Ok(init)
}

/// As clone(2) with `run_child`, in a cgroup of version 2 (clone3(2), `CLONE_INTO_CGROUP`). The process, or minus an errno.
///
/// # Safety
/// As for clone: `stack` is its lowest and highest address, `arg` a [`Child`].
unsafe fn clone_into(
    group: RawFd,
    flags: c_int,
    stack: (*mut u8, *mut u8),
    arg: *mut c_void,
    pidfd: *mut c_int,
) -> isize {
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    const EXIT_SIGNAL: u64 = 0xff;
    let flags = flags as u64;
    let size = stack.1 as u64 - stack.0 as u64;
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    let args: [u64; 11] = [
        (flags & !EXIT_SIGNAL) | CLONE_INTO_CGROUP,
        pidfd as u64,
        0,
        0,
        flags & EXIT_SIGNAL,
        stack.0 as u64,
        size,
        0,
        0,
        0,
        group as u64,
    ];
    let result: isize;
    // SAFETY: the child runs only `run_child`, which does not return, on `stack`; the parent continues at 2.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r13", "call r12", "ud2", "2:",
             inlateout("rax") libc::SYS_clone3 as isize => result, in("rdi") args.as_ptr(), in("rsi") size_of_val(&args),
             in("r12") run_child as extern "C" fn(*mut c_void) -> c_int, in("r13") arg, lateout("rcx") _,
             lateout("r11") _);
    }
    result
}

const MAP_USER: &str = "map the user";
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

/// Runs in the child until exec: raw calls only, on prepared memory.
extern "C" fn run_child(arg: *mut c_void) -> c_int {
    // SAFETY: the parent passes a `Child` that lives until this process execs or exits.
    let child = unsafe { &mut *arg.cast::<Child>() };
    if let Err((stage, errno)) = prepare_and_exec(child) {
        child.stage = stage;
        child.errno = errno;
    }
    // SAFETY: _exit(2) runs no handlers of the parent.
    unsafe { libc::_exit(127) }
}

fn prepare_and_exec(child: &Child) -> Result<(), (&'static str, c_int)> {
    // Without this an ordinary user may not map groups. Absent on kernels before 3.19 only.
    write(c"/proc/self/setgroups", b"deny").map_err(|e| ("deny setgroups", e))?;
    write(c"/proc/self/uid_map", &child.uid_map).map_err(|e| (MAP_USER, e))?;
    write(c"/proc/self/gid_map", &child.gid_map).map_err(|e| ("map the group", e))?;
    // Root is still the real user of a borrowed identity. For all others this changes nothing.
    // SAFETY: these calls take numbers.
    unsafe {
        let id = libc::c_long::from(UID);
        check(libc::syscall(libc::SYS_setresgid, id, id, id) as c_int).map_err(|e| ("take the group", e))?;
        check(libc::syscall(libc::SYS_setresuid, id, id, id) as c_int).map_err(|e| ("take the user", e))?;
    }
    keep_capabilities().map_err(|e| ("keep capabilities for set-up", e))?;
    let mut aside = [0; 3];
    for (to, from) in aside.iter_mut().zip(child.fds) {
        // SAFETY: fcntl(2) on a descriptor number; a bad one is an error.
        *to = check(unsafe { libc::fcntl(from, libc::F_DUPFD, ASIDE) }).map_err(|e| ("descriptors", e))?;
    }
    let [null, control, init] = aside;
    for (to, from) in [(0, null), (1, null), (2, null), (3, control), (4, init)] {
        // SAFETY: as above.
        check(unsafe { libc::dup2(from, to) }).map_err(|e| ("descriptors", e))?;
    }
    // SAFETY: everything but 0–4 is closed in this process's own table; the parent's is another.
    unsafe {
        libc::syscall(libc::SYS_close_range, 5, u32::MAX, 0);
        libc::fcntl(4, libc::F_SETFD, libc::FD_CLOEXEC);
        let (argv, envp) = (child.argv.as_ptr(), child.envp.as_ptr());
        libc::syscall(libc::SYS_execveat, 4, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH);
    }
    Err(("start process 1", errno()))
}

/// The new user's id is not 0, so exec would drop what the new namespace granted: ambient capabilities survive it.
fn keep_capabilities() -> Result<(), c_int> {
    const VERSION_3: u32 = 0x2008_0522;
    const LAST_KNOWN: libc::c_ulong = 40;
    let header = [VERSION_3, 0];
    let mut data = [0u32; 6];
    // SAFETY: capget(2) and capset(2) with version 3 use an 8-byte header and 24 bytes of data.
    unsafe {
        check(libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) as c_int)?;
        (data[2], data[5]) = (data[1], data[4]);
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) as c_int)?;
        for capability in 0..=LAST_KNOWN {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, capability, 0, 0);
        }
    }
    Ok(())
}

fn write(path: &CStr, text: &[u8]) -> Result<(), c_int> {
    // SAFETY: a NUL-terminated path, a buffer with its length, and our own descriptor.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        let error = errno();
        libc::close(fd);
        if written < 0 { Err(error) } else { Ok(()) }
    }
}

fn check(r: c_int) -> Result<c_int, c_int> {
    if r < 0 { Err(errno()) } else { Ok(r) }
}

fn errno() -> c_int {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() }
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
}
