//! Another user's identity for one thread, for as long as a clone takes.
//!
//! Root may run a sandbox on a tree that belongs to somebody else: an unpacked archive, a folder mounted into a
//! container. Actions then have the owner's identity on the host, as if the owner had started sbx: what the owner may
//! write they may write, and nothing in the sandbox is root's.

use std::io;

/// The thread's identity before; dropping it takes the other one off again.
pub(crate) struct Borrowed {
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
    dumpable: libc::c_int,
    changed: Changed,
}

/// What is no longer as it was, in the order in which it is changed.
#[derive(PartialEq, PartialOrd)]
enum Changed {
    Nothing,
    Groups,
    Group,
    User,
}

impl Borrowed {
    /// Gives this thread, and no other, the effective identity of a user. Root remains its real and saved user.
    ///
    /// Libraries change all threads of a process; the system calls themselves change the calling one.
    ///
    /// # Errors
    /// The process may not change its identity, or root is not its saved user. The thread is then as it was.
    pub(crate) fn take(uid: u32, gid: u32) -> io::Result<Borrowed> {
        // SAFETY: these calls take numbers, places for numbers, and a buffer with its length.
        unsafe {
            let (mut real, mut effective, mut saved) = (0, 0, 0);
            check(libc::getresuid(&mut real, &mut effective, &mut saved))?;
            if (effective, saved) != (0, 0) {
                return Err(io::Error::from_raw_os_error(libc::EPERM));
            }
            let count = check(libc::getgroups(0, std::ptr::null_mut()))?;
            let mut groups = vec![0; count as usize];
            check(libc::getgroups(count, groups.as_mut_ptr()))?;
            let dumpable = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0);
            let mut before = Borrowed { gid: libc::getegid(), groups, dumpable, changed: Changed::Nothing };
            // From here on dropping `before` undoes what was done.
            call(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()))?;
            before.changed = Changed::Groups;
            call(libc::syscall(libc::SYS_setresgid, -1, gid, -1))?;
            before.changed = Changed::Group;
            call(libc::syscall(libc::SYS_setresuid, -1, uid, -1))?;
            before.changed = Changed::User;
            // The change took it away, and with it the child's right to its own files in /proc.
            check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
            Ok(before)
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let done = |what: Changed| self.changed >= what;
        // SAFETY: as in `take`. Root is the saved user, so the way back is always open.
        unsafe {
            let back = (!done(Changed::User) || libc::syscall(libc::SYS_setresuid, -1, 0, -1) == 0)
                && (!done(Changed::Group) || libc::syscall(libc::SYS_setresgid, -1, self.gid, -1) == 0)
                && (!done(Changed::Groups)
                    || libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()) == 0);
            // Going on as somebody else in a program that is root would be worse than ending it.
            if !back {
                libc::abort();
            }
            libc::prctl(libc::PR_SET_DUMPABLE, self.dumpable, 0, 0, 0);
        }
    }
}

fn check(r: libc::c_int) -> io::Result<libc::c_int> {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r) }
}

fn call(r: libc::c_long) -> io::Result<()> {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
