//! The first steps of a process 1, between clone and exec, in memory that is its parent's: raw calls on what was prepared.
//! Compiled into the library and into `front/`.

use crate::sys::*;
use crate::text::Text;
use core::ffi::CStr;

/// All but the network's, which process 1 makes for itself while it mounts.
pub const NAMESPACES: usize = NEWUSER | NEWNS | NEWPID | NEWIPC | NEWUTS | NEWCGROUP;
const NEWNS: usize = 0x0002_0000;
const NEWCGROUP: usize = 0x0200_0000;
const NEWUTS: usize = 0x0400_0000;
const NEWIPC: usize = 0x0800_0000;
const NEWUSER: usize = 0x1000_0000;
const NEWPID: usize = 0x2000_0000;
/// Lowest number to which descriptors are moved before they get their places.
const ASIDE: i32 = 64;

/// What it was about when it failed.
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
pub enum Stage {
    Nothing,
    DenyGroups,
    MapUser,
    MapGroup,
    TakeGroup,
    TakeUser,
    Capabilities,
    Descriptors,
    Exec,
}

/// What the child needs, and why it failed.
pub struct Child {
    fds: [i32; 3],
    id: u32,
    user: Text,
    group: Text,
    argv: [*const u8; 2],
    envp: [*const u8; 1],
    pub stage: Stage,
    pub errno: i32,
}

impl Child {
    /// With the null device, its end of the control socket, and its program; `id` is user and group inside, those of the
    /// host are given.
    pub fn new(fds: [i32; 3], id: u32, (uid, gid): (u32, u32)) -> Child {
        Child {
            fds,
            id,
            user: map(id, uid),
            group: map(id, gid),
            argv: [c"sbx-init".as_ptr().cast(), core::ptr::null()],
            envp: [core::ptr::null()],
            stage: Stage::Nothing,
            errno: 0,
        }
    }
}

/// A line of a map: a number inside is one outside.
fn map(inside: u32, outside: u32) -> Text {
    let mut line = Text::of(b"");
    line.number(inside);
    line.add(b" ");
    line.number(outside);
    line.add(b" 1");
    line
}

/// Becomes process 1. If that fails, the [`Child`] says why.
pub extern "C" fn run(arg: *mut u8) -> ! {
    // SAFETY: the parent passes a `Child` that lives until this process execs or exits.
    let child = unsafe { &mut *arg.cast::<Child>() };
    if let Err((stage, errno)) = child.prepare_and_exec() {
        child.stage = stage;
        child.errno = errno;
    }
    exit(127)
}

impl Child {
    fn prepare_and_exec(&self) -> Result<(), (Stage, i32)> {
        const F_DUPFD: u32 = 0;
        const F_SETFD: u32 = 2;
        const CLOEXEC: u32 = 1;
        // Without this an ordinary user may not map groups. Absent on kernels before 3.19 only.
        write(c"/proc/self/setgroups", b"deny").map_err(|e| (Stage::DenyGroups, e))?;
        write(c"/proc/self/uid_map", self.user.bytes()).map_err(|e| (Stage::MapUser, e))?;
        write(c"/proc/self/gid_map", self.group.bytes()).map_err(|e| (Stage::MapGroup, e))?;
        // Root is still the real user of a borrowed identity. For all others this changes nothing.
        let id = self.id;
        check(syscall!(SETRESGID, id, id, id)).map_err(|e| (Stage::TakeGroup, e))?;
        check(syscall!(SETRESUID, id, id, id)).map_err(|e| (Stage::TakeUser, e))?;
        keep_capabilities().map_err(|e| (Stage::Capabilities, e))?;
        let mut aside = [0; 3];
        for (to, from) in aside.iter_mut().zip(self.fds) {
            let moved = check(syscall!(FCNTL, from, F_DUPFD, ASIDE)).map_err(|e| (Stage::Descriptors, e))?;
            *to = moved as i32;
        }
        let [null, control, program] = aside;
        for (from, to) in [null, null, null, control, program].into_iter().zip(0i32..) {
            check(syscall!(DUP2, from, to)).map_err(|e| (Stage::Descriptors, e))?;
        }
        // This process's own table; the parent's is another.
        syscall!(CLOSE_RANGE, 5, u32::MAX, 0);
        syscall!(FCNTL, 4, F_SETFD, CLOEXEC);
        let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
        let e = syscall!(EXECVEAT, 4, c"".as_ptr(), argv, envp, AT_EMPTY_PATH);
        Err((Stage::Exec, -e as i32))
    }
}

const AT_EMPTY_PATH: u32 = 0x1000;

/// What building a view takes, and what its overlay does in the name of who mounted it: CAP_CHOWN, CAP_DAC_OVERRIDE,
/// CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_SETPCAP, CAP_LINUX_IMMUTABLE, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_MKNOD,
/// CAP_SETFCAP.
const NEEDED: [u32; 11] = [0, 1, 2, 3, 4, 8, 9, 12, 21, 27, 31];

/// The new user's id is not 0, so exec would drop what the new namespace granted: ambient capabilities survive it.
fn keep_capabilities() -> Result<(), i32> {
    const VERSION_3: u32 = 0x2008_0522;
    const PR_CAP_AMBIENT: u32 = 47;
    const RAISE: u32 = 2;
    let header = [VERSION_3, 0];
    let needed = NEEDED.iter().fold(0u32, |all, capability| all | (1 << capability));
    // effective, permitted, inheritable, of the lower and of the higher 32
    let data = [needed, needed, needed, 0, 0, 0];
    check(syscall!(CAPSET, header.as_ptr(), data.as_ptr()))?;
    for capability in NEEDED {
        check(syscall!(PRCTL, PR_CAP_AMBIENT, RAISE, capability, 0, 0))?;
    }
    Ok(())
}

fn write(path: &CStr, text: &[u8]) -> Result<(), i32> {
    let fd = open(path, O_WRONLY, 0)?;
    let done = check(syscall!(WRITE, fd, text.as_ptr(), text.len())).map(drop);
    close(fd);
    done
}
