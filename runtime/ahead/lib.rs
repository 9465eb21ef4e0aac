//! Makes process 1 a bash that stands before its `main`, loaded and linked, and serves from there: a script is a fork,
//! which *is* the `bash -c SCRIPT` that a plain start would have made: its own arguments, environment, directory and
//! descriptors. Loading a bash takes three quarters of what a short script costs.
//!
//! Process 1 (`init/ahead.rs`) names this library in `LD_PRELOAD` when it becomes a bash. It has no standard library and
//! exports nothing; the loader runs its only function before `main`. A script's environment is its own, so nothing that it
//! starts loads this.
#![no_std]

#[path = "../init/action.rs"]
mod action;
#[path = "../src/linux/wire.rs"]
#[allow(dead_code, reason = "each side of the wire uses its part")]
mod wire;

#[path = "../init/message.rs"]
mod message;
#[path = "../init/start.rs"]
mod start;
#[path = "../init/sys.rs"]
#[allow(dead_code, unused_macros, reason = "process 1 uses the rest")]
mod sys;

use action::{Between, Heard};
use core::ffi::CStr;
use message::word;
use start::Start;
use sys::*;
use wire::*;

unsafe extern "C" {
    /// environ(7): what `main` will get as its environment.
    static mut environ: *const *const u8;
    /// setlocale(3).
    fn setlocale(category: i32, locale: *const core::ffi::c_char) -> *mut core::ffi::c_char;
    /// fork(2), by the C library, which keeps account of it.
    fn fork() -> i32;
    /// dl_iterate_phdr(3).
    fn dl_iterate_phdr(each: extern "C" fn(*const Object, usize, *mut u8) -> i32, data: *mut u8) -> i32;
}

/// The start of `struct dl_phdr_info`.
#[repr(C)]
struct Object {
    base: usize,
    name: *const u8,
    headers: *const Segment,
    count: u16,
}

/// `Elf64_Phdr`.
#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn(i32, *mut *const u8, *const *const u8) = before_main;

const BRK: usize = 12;
/// `argv` of a script: `bash`, `-c`, and the script. Process 1 is started with as many.
const ARGUMENTS: usize = 3;
/// How long nothing must be asked for until pages are mapped ahead, in milliseconds. Some of them will not be needed.
const PAUSE: i32 = 1;
/// What the next script's process says when it is the script.
const STARTED: &[u8] = &[1];

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(97)
}

/// Runs before `main`, with its arguments.
extern "C" fn before_main(argc: i32, argv: *mut *const u8, _: *const *const u8) {
    if argc as usize != ARGUMENTS {
        return;
    }
    // SAFETY: there are as many arguments, each a string.
    let called = unsafe { CStr::from_ptr(argv.read().cast()) };
    if called == BASH_ON_TRIAL {
        exit(0);
    }
    // Whoever else loads this is left alone.
    if called != BASH_NAME {
        return;
    }
    be(BASH_NAME, false);
    let layout = Layout::of_self();
    read_locale();
    let start = action::serve(&mut Bash { next: None, layout });
    // SAFETY: the loader gives as many arguments as a script has; the payload's tables, of which they and the environment
    // are taken, stay mapped as long as this process runs the program. A fork has no other thread.
    unsafe {
        for i in 0..ARGUMENTS {
            argv.add(i).write(start.argv.add(i).read());
        }
        environ = start.envp;
    }
}

/// Sets what others see of this process: its name, and whether they may look into it.
fn be(title: &CStr, open: bool) {
    const PR_SET_DUMPABLE: u32 = 4;
    syscall!(PRCTL, PR_SET_DUMPABLE, u32::from(open), 0, 0, 0);
    name(title);
}

/// A process 1 that is a bash.
struct Bash {
    /// The process that becomes the next script, and our end of its pipe.
    next: Option<(i32, i32)>,
    layout: Option<Layout>,
}

impl Between for Bash {
    fn rest(&mut self) -> Option<Start> {
        if self.next.is_some() {
            return None;
        }
        let [ours, theirs] = pipe().ok()?;
        // SAFETY: this process has one thread.
        match unsafe { fork() } {
            0 => return Some(self.be_next(theirs)),
            pid if pid > 0 => self.next = Some((pid, ours)),
            _ => close(ours),
        }
        close(theirs);
        None
    }

    /// The next script's process listens itself: between the library and it nobody has to wake up.
    fn listen(&mut self, buffer: &mut [u8], fds: &mut Cmsg) -> Heard {
        if let Some((pid, pipe)) = self.next.take() {
            let mut said = [0u8; STARTED.len()];
            if read(pipe, &mut said) == STARTED.len() as isize {
                return Heard::Script { pid, pipe };
            }
            // What came is no script; or the process was killed.
            close(pipe);
        }
        Heard::Message(receive(FD_CONTROL, buffer, fds))
    }
}

impl Bash {
    /// Waits for the next script, as a session of its own, and becomes it. Leaves everything else to process 1.
    fn be_next(&self, pipe: i32) -> Start {
        be(c"bash", true);
        setsid();
        unblock_signals();
        if !readable(FD_CONTROL, PAUSE) {
            prepare();
        }
        let (mut buffer, mut fds) = ([0u8; 64], Cmsg::new());
        let is_script = |message: &[u8]| word(message, 0) == MSG_RUN && word(message, 4) & RUN_SCRIPT != 0;
        if peek(FD_CONTROL, &mut buffer) < 8
            || !is_script(&buffer)
            || receive(FD_CONTROL, &mut buffer, &mut fds) < 8
            || write_all(pipe, STARTED).is_err()
        {
            exit(0);
        }
        let mut start = Start::new(fds.fds());
        if let Err(errno) = start.read().map_err(|e| e as u32).and_then(|_| start.place()) {
            let _ = write_all(pipe, &errno.to_ne_bytes());
            exit(127);
        }
        start.close_others();
        if let Some(layout) = &self.layout {
            layout.tell(&start);
        }
        start
    }
}

/// Reads the locale that a script has by default: the C library keeps it, and nobody can tell.
fn read_locale() {
    const LC_ALL: i32 = 6;
    // SAFETY: no other thread exists before `main`; "C" is what the program starts with.
    unsafe {
        setlocale(LC_ALL, c"C.UTF-8".as_ptr());
        setlocale(LC_ALL, c"C".as_ptr());
    }
}

/// Has the kernel map what the program will touch.
fn prepare() {
    // SAFETY: no other thread exists before `main`.
    unsafe { dl_iterate_phdr(map_pages, core::ptr::null_mut()) };
}

/// Maps the pages of a loaded object, and makes those that will be written its own.
extern "C" fn map_pages(object: *const Object, _: usize, _: *mut u8) -> i32 {
    const PT_LOAD: u32 = 1;
    const PF_W: u32 = 2;
    const MADV_POPULATE_READ: u32 = 22;
    const MADV_POPULATE_WRITE: u32 = 23;
    const PAGE: usize = 4096;
    // SAFETY: the loader passes a valid object with `count` program headers.
    let (object, headers) = unsafe {
        let object = &*object;
        (object, core::slice::from_raw_parts(object.headers, object.count.into()))
    };
    for segment in headers.iter().filter(|s| s.kind == PT_LOAD) {
        let start = (object.base + segment.address as usize) & !(PAGE - 1);
        let end = (object.base + segment.address as usize + segment.size as usize).next_multiple_of(PAGE);
        let how = if segment.flags & PF_W != 0 { MADV_POPULATE_WRITE } else { MADV_POPULATE_READ };
        // Linux before 5.14 does not know it; then the pages come when they are needed.
        syscall!(MADVISE, start, end - start, how);
    }
    0
}

/// The addresses that the kernel keeps of a program, as prctl(2) wants them for `PR_SET_MM_MAP`.
#[repr(C)]
#[derive(Clone, Default)]
struct Layout {
    /// start_code, end_code, start_data, end_data, start_brk, brk, start_stack.
    program: [u64; 7],
    /// arg_start, arg_end, env_start, env_end.
    texts: [u64; 4],
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

impl Layout {
    /// Reads this process's from proc_pid_stat(5).
    fn of_self() -> Option<Layout> {
        let mut text = [0u8; 1024];
        let fd = open(c"/proc/self/stat", 0, 0).ok()?;
        let read = read_at(fd, &mut text);
        close(fd);
        read.ok()?;
        // The name, which may hold anything, ends with the last bracket.
        let start = text.iter().rposition(|b| *b == b')')? + 2;
        let number = |field: usize| -> Option<u64> {
            /// The number of the field after the name.
            const FIRST: usize = 3;
            let word = text.get(start..)?.split(|b| *b == b' ').nth(field - FIRST)?;
            word.iter().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b.wrapping_sub(b'0'))))
        };
        let brk = syscall!(BRK, 0) as u64;
        let program = [number(26)?, number(27)?, number(45)?, number(46)?, number(47)?, brk, number(28)?];
        Some(Layout { program, exe_fd: u32::MAX, ..Layout::default() })
    }

    /// Tells the kernel where the arguments and the environment are, for /proc. Where it cannot be told (Linux without
    /// checkpoints), the arguments shown are those of a bash without a script.
    fn tell(&self, start: &Start) {
        const PR_SET_MM: u32 = 35;
        const PR_SET_MM_MAP: u32 = 14;
        // SAFETY: both tables hold at least their NULL; the strings of one follow those of the other.
        let (arguments, environment) = unsafe { (start.argv.read(), start.envp.read()) };
        let environment = if environment.is_null() { start.end } else { environment };
        let texts = [arguments, environment, environment, start.end].map(|p| p as u64);
        let layout = Layout { texts, ..self.clone() };
        syscall!(PRCTL, PR_SET_MM, PR_SET_MM_MAP, &raw const layout, size_of::<Layout>(), 0);
    }
}

/// The precompiled `core` names it in its unwind tables; nothing here unwinds (`panic=abort`).
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
