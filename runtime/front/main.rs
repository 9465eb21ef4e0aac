//! What `sbx` does before its own beginning: where it is asked for a sandbox of which there is a record, process 1 is
//! started, and told what to build, before the C library has begun, which takes as long as the walls. It is a guess:
//! the library looks at the whole request afterwards (`src/sandbox/recorded.rs`), and drops what was begun in vain.
//!
//! It is one function without a C library, compiled to bytes that run wherever they lie (`front.ld`), and entered with the
//! stack as the kernel made it. It decides nothing: it never fails, it begins or does not.
#![no_std]
#![no_main]

#[path = "../init/birth.rs"]
mod birth;
#[path = "../init/mem.rs"]
mod mem;
mod named;
#[path = "../init/place.rs"]
mod place;
#[path = "../init/sys.rs"]
#[allow(dead_code, reason = "process 1 uses the rest")]
mod sys;
#[path = "../src/linux/wire.rs"]
#[allow(dead_code, reason = "each side of the wire uses its part")]
mod wire;

use birth::{Child, Line};
use core::ffi::CStr;
use named::{Begun, name};
use place::elsewhere;
use sys::*;

/// The program of process 1.
static INIT: &[u8] = include_bytes!(env!("SBX_INIT"));
/// Most bytes of a record.
const ROOM: usize = 1 << 20;
/// Bytes of a path.
const PATH: usize = 4096;
/// Bytes of the child's stack until exec, and what it is given besides.
const STACK: usize = 64 << 10;

const GETCWD: usize = 79;
const READLINKAT: usize = 267;
const GETEUID: usize = 107;
const GETEGID: usize = 108;
const SOCKETPAIR: usize = 53;
const MEMFD_CREATE: usize = 319;
const O_NONBLOCK: u32 = 0o4000;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(97)
}

/// `stack` is what the kernel left: the number of arguments, and two tables.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.front")]
unsafe extern "C" fn sbx_front(stack: *const usize, begun: &mut Begun) {
    // SAFETY: the kernel's layout: argc, argv, NULL, envp, NULL.
    let (arguments, environment) = unsafe {
        let count = stack.read();
        let arguments = stack.add(1).cast::<*const u8>();
        (Strings(arguments), Strings(arguments.add(count + 1)))
    };
    if let Some(done) = begin(arguments, environment) {
        *begun = done;
    }
}

/// A table of strings that ends with NULL.
#[derive(Clone, Copy)]
struct Strings(*const *const u8);

impl Iterator for Strings {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: not yet past the NULL; the kernel's strings end with NUL and stay.
        unsafe {
            let one = self.0.read();
            if one.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(one.cast()).to_bytes())
        }
    }
}

impl Strings {
    /// The value of a variable.
    fn value(mut self, name: &[u8]) -> Option<&'static [u8]> {
        self.find_map(|one| one.strip_prefix(name)?.strip_prefix(b"="))
    }
}

fn begin(mut arguments: Strings, environment: Strings) -> Option<Begun> {
    const F_GETFD: u32 = 1;
    // What is opened here must not become a standard stream that is not there.
    let is_open = |fd: i32| check(syscall!(FCNTL, fd, F_GETFD)).is_ok();
    if !(is_open(0) && is_open(1) && is_open(2)) {
        return None;
    }
    arguments.next()?;
    if arguments.next()? != b"exec" {
        return None;
    }
    let (mut policy, mut workspace) = (environment.value(b"SBX_POLICY"), None);
    loop {
        let word = arguments.next()?;
        let value = |arguments: &mut Strings, name: &[u8]| -> Option<&'static [u8]> {
            match word.strip_prefix(name)? {
                [] => arguments.next(),
                [b'=', value @ ..] => Some(value),
                _ => None,
            }
        };
        match word {
            b"--" | b"-c" => break,
            b"--json" | b"--timings" => {}
            _ => {
                if let Some(named) = value(&mut arguments, b"--policy") {
                    policy = Some(named);
                } else if let Some(named) = value(&mut arguments, b"--workspace") {
                    workspace = Some(named);
                } else {
                    value(&mut arguments, b"--changes")?;
                }
            }
        }
    }
    let (uid, gid) = (syscall!(GETEUID) as u32, syscall!(GETEGID) as u32);
    let mut place = [0u8; PATH];
    let lower = match workspace {
        None | Some(b".") => {
            let len = check(syscall!(GETCWD, place.as_mut_ptr(), place.len())).ok()?;
            place.get(..len.checked_sub(1)?)?
        }
        Some(path) => path_of(open_dir(path, O_PATH | O_DIRECTORY)?, &mut place)?,
    };
    // Root takes the identity of the workspace's owner.
    if uid == 0 && owner_of(open_dir(lower, O_PATH | O_DIRECTORY)?)?.0 != 0 {
        return None;
    }
    let text = read_record(environment, uid, policy.unwrap_or(b"whitelist"), lower)?;
    let record = named::parts(text)?;
    start(record.steps, text, (uid, gid))
}

/// Opens a directory by its path, for a moment: nothing here is closed, but what stays open is closed on exec, and is little.
fn open_dir(path: &[u8], flags: u32) -> Option<i32> {
    let mut copy = [0u8; PATH];
    copy.get_mut(..path.len().checked_add(1).filter(|n| *n < PATH)?)?
        .iter_mut()
        .zip(path)
        .for_each(|(to, b)| *to = *b);
    check(syscall!(OPEN, copy.as_ptr(), flags | O_CLOEXEC, 0)).ok().map(|fd| fd as i32)
}

/// Where an open directory is, without links; closes it.
fn path_of(fd: i32, place: &mut [u8; PATH]) -> Option<&[u8]> {
    let mut link = Line::of(b"/proc/self/fd/");
    link.number(fd as u32);
    const AT_FDCWD: i32 = -100;
    let len = check(syscall!(READLINKAT, AT_FDCWD, link.pointer(), place.as_mut_ptr(), place.len())).ok();
    close(fd);
    place.get(..len.filter(|len| *len < PATH)?)
}

/// Owner and mode; closes it.
fn owner_of(fd: i32) -> Option<(u32, u32)> {
    let found = file_owner(fd).ok();
    close(fd);
    found
}

/// The record of a request, as it is in the user's own cache, where nobody else may write.
fn read_record(environment: Strings, uid: u32, policy: &[u8], lower: &[u8]) -> Option<&'static [u8]> {
    let is_path = |path: &&[u8]| path.first() == Some(&b'/');
    let (top, below): (_, &[u8]) = match environment.value(b"XDG_CACHE_HOME").filter(is_path) {
        Some(dir) => (dir, b"/sbx"),
        None => (environment.value(b"HOME").filter(is_path)?, b"/.cache/sbx"),
    };
    let mut path = [0u8; PATH];
    path.iter_mut().zip(top.iter().chain(below)).for_each(|(to, b)| *to = *b);
    let len = top.len() + below.len();
    let below = b"/".iter().chain(named::OPENED.as_bytes());
    path.iter_mut().skip(len).zip(below.clone()).for_each(|(to, b)| *to = *b);
    let dir = open_dir(path.get(..len + below.count())?, O_DIRECTORY | O_NOFOLLOW)?;
    let above = check(syscall!(OPENAT, dir, c"..".as_ptr(), O_PATH | O_DIRECTORY | O_CLOEXEC)).ok()? as i32;
    let is_private = |fd: i32| file_owner(fd).is_ok_and(|(owner, mode)| owner == uid && mode & 0o022 == 0);
    let is_ours = is_private(dir) && is_private(above);
    close(above);
    if !is_ours {
        close(dir);
        return None;
    }
    let mut place = [0u8; PATH];
    let cache = path_of(duplicate(dir)?, &mut place)?;
    let cache = cache.strip_suffix(named::OPENED.as_bytes())?.strip_suffix(b"/")?;
    // What an action may have written decides nothing.
    let is_under = |path: &[u8], dir: &[u8]| {
        // The root alone ends with a slash.
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        path.strip_prefix(dir).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    };
    if is_under(cache, lower) || is_under(lower, cache) {
        close(dir);
        return None;
    }
    let mut file = [0u8; 17];
    file.iter_mut().zip(name(policy, lower)).for_each(|(to, b)| *to = b);
    let fd = check(syscall!(OPENAT, dir, file.as_ptr(), O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)).ok();
    close(dir);
    let fd = fd? as i32;
    let len = file_len(fd).ok().filter(|len| (1..ROOM).contains(len));
    // Read at once, and not mapped: a file that becomes shorter is no reason to die.
    let text = len.and_then(|len| map(-1, len).ok().map(|text| (text, len))).and_then(|(text, len)| {
        // SAFETY: a fresh mapping of `len` bytes, which stays.
        let text = unsafe { core::slice::from_raw_parts_mut(text, len) };
        read_at(fd, text).ok().map(|()| &*text)
    });
    close(fd);
    text
}

fn duplicate(fd: i32) -> Option<i32> {
    const F_DUPFD_CLOEXEC: u32 = 1030;
    check(syscall!(FCNTL, fd, F_DUPFD_CLOEXEC, 0)).ok().map(|fd| fd as i32)
}

/// A file in memory that nobody can change any more.
fn sealed(bytes: &[u8]) -> Option<i32> {
    const CLOEXEC_ALLOW_SEALING: u32 = 1 | 2;
    const F_ADD_SEALS: u32 = 1033;
    const ALL: u32 = 0xf;
    let fd = check(syscall!(MEMFD_CREATE, c"sealed".as_ptr(), CLOEXEC_ALLOW_SEALING)).ok()? as i32;
    let done = write_all(fd, bytes).is_ok() && check(syscall!(FCNTL, fd, F_ADD_SEALS, ALL)).is_ok();
    if !done {
        close(fd);
        return None;
    }
    Some(fd)
}

/// Starts process 1, and does not wait until it is there.
fn start(steps: &[u8], record: &'static [u8], user: (u32, u32)) -> Option<Begun> {
    const AF_UNIX: u32 = 1;
    const SEQPACKET_CLOEXEC: u32 = 5 | 0o2_000_000;
    const VM_PIDFD: usize = 0x100 | 0x1000;
    const O_RDWR: u32 = 2;
    let null = open(c"/dev/null", O_RDWR, 0).ok()?;
    let (program, plan) = (sealed(INIT)?, sealed(steps)?);
    let mut ends = [-1i32; 2];
    check(syscall!(SOCKETPAIR, AF_UNIX, SEQPACKET_CLOEXEC, 0, ends.as_mut_ptr())).ok()?;
    let [control, theirs] = ends;
    let memory = map(-1, STACK).ok()?;
    let child = memory.cast::<Child>();
    let mut pidfd = -1;
    // SAFETY: the child alone uses the mapping, which stays; `child` is at its lower end, far below its stack. The child's
    // descriptors are its own.
    let born = unsafe {
        child.write(Child::new([null, theirs, program], wire::UID, user));
        clone(birth::NAMESPACES | VM_PIDFD, memory.add(STACK), &raw mut pidfd, birth::run, child.cast())
    };
    if let Ok(pid) = check(born) {
        elsewhere(pid as i32);
    }
    for fd in [null, theirs, program] {
        close(fd);
    }
    if check(born).is_err() {
        close(control);
        close(plan);
        return None;
    }
    // The kind, and no flags.
    send(control, [wire::MSG_GO, 0].map(u32::to_ne_bytes).as_flattened(), &[plan]);
    close(plan);
    Some(Begun {
        control: control + 1,
        pidfd: pidfd + 1,
        record: record.as_ptr() as usize,
        length: record.len(),
    })
}

/// The precompiled `core` names it in its unwind tables; nothing here unwinds (`panic=abort`).
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
