//! Walls around one thread of this process. The kernel raises no_new_privs, Landlock and seccomp for a thread and those
//! that it starts, not for the process: so whoever interprets untrusted scripts in threads can confine these alone.
//!
//! It is a second line. A thread shares its process's memory, so what breaks out of an interpreter can still harm the
//! process; but by itself it opens, starts and connects to nothing.

use super::{landlock, seccomp, sys};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

/// Names of the walls that [`confine`] raises on this host.
pub fn walls() -> Vec<String> {
    let mut names = vec!["thread:no_new_privs".to_string(), "thread:seccomp".to_string()];
    let abi = sys::landlock_abi();
    if abi > 0 {
        names.push(format!("thread:landlock:{abi}"));
    }
    names
}

/// Confines the calling thread for good: it starts no program, makes no socket and no executable memory, and opens files
/// only for reading, only beneath `read`. Threads that it starts are confined as well.
///
/// # Errors
/// The kernel refuses a wall, as in a container whose own filter does; those before it stand.
pub fn confine(read: &[BorrowedFd<'_>]) -> io::Result<()> {
    // SAFETY: prctl(2) with PR_SET_NO_NEW_PRIVS takes four numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let abi = sys::landlock_abi();
    if abi > 0 {
        restrict(abi, read)?;
    }
    attach()
}

/// `struct landlock_ruleset_attr` (`linux/landlock.h`).
#[repr(C)]
struct Ruleset {
    fs: u64,
    net: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

fn restrict(abi: u32, read: &[BorrowedFd<'_>]) -> io::Result<()> {
    const RULE_PATH_BENEATH: u32 = 1;
    let rules = Ruleset {
        fs: landlock::handled_fs(abi),
        net: landlock::handled_net(abi),
        scopes: landlock::scopes(abi),
    };
    // An older kernel refuses fields that it does not know.
    let size: usize = match abi {
        0..=3 => 8,
        4 | 5 => 16,
        _ => 24,
    };
    // SAFETY: `rules` outlives the call, and the first `size` bytes of it are what this ABI defines
    // (landlock_create_ruleset(2)).
    let fd = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &rules, size, 0) } as i32)?;
    // SAFETY: the call made this descriptor, and nobody else has it.
    let ruleset = unsafe { OwnedFd::from_raw_fd(fd) };
    for dir in read {
        let allowed = (landlock::READ_FILE | landlock::READ_DIR) & rules.fs;
        let rule = Beneath { allowed, parent: dir.as_raw_fd() };
        // SAFETY: `rule` outlives the call and is of the type that this kind of rule takes (landlock_add_rule(2)).
        check(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), RULE_PATH_BENEATH, &rule, 0)
        } as i32)?;
    }
    // SAFETY: it takes two numbers (landlock_restrict_self(2)).
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) } as i32)?;
    Ok(())
}

fn attach() -> io::Result<()> {
    static PROGRAM: OnceLock<Vec<libc::sock_filter>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let word = |b: &[u8]| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]);
        let decode = |i: &[u8]| libc::sock_filter {
            code: u16::from_ne_bytes([i[0], i[1]]),
            jt: i[2],
            jf: i[3],
            k: word(&i[4..]),
        };
        seccomp::thread_program().chunks_exact(8).map(decode).collect()
    });
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program lives as long as the process and the kernel only reads it (seccomp(2)); without the flag TSYNC
    // the filter is this thread's alone.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &filter) } as i32)?;
    Ok(())
}

/// Processor time that the calling thread has used.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call writes (clock_gettime(2)).
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if failed != 0 {
        return Duration::ZERO;
    }
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_confined_thread_reads_what_it_may_and_starts_nothing() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(inside.path().join("f"), "in").unwrap();
        std::fs::write(outside.path().join("f"), "out").unwrap();
        let (a, b) = (inside.path().to_path_buf(), outside.path().to_path_buf());
        let seen = std::thread::spawn(move || {
            let dir = std::fs::File::open(&a).unwrap();
            if confine(&[dir.as_fd()]).is_err() {
                return None;
            }
            // A thread that is started now is confined too.
            let nested = std::thread::spawn(move || {
                let has_landlock = sys::landlock_abi() > 0;
                [
                    std::fs::read(a.join("f")).is_ok(),
                    std::fs::read(b.join("f")).is_ok() && has_landlock,
                    std::fs::write(a.join("g"), "x").is_ok() && has_landlock,
                    std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
                    std::process::Command::new("/bin/true").status().is_ok(),
                ]
            });
            nested.join().ok()
        });
        match seen.join().unwrap() {
            Some(seen) => assert_eq!(seen, [true, false, false, false, false]),
            None => assert!(std::env::var_os("SBX_MUST_WORK").is_none(), "the kernel refuses the walls"),
        }
        // This thread is as free as before.
        assert!(std::fs::read(outside.path().join("f")).is_ok());
    }
}
