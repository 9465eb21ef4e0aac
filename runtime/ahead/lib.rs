//! Holds a bash back before its `main`: loaded and linked it waits for an action, and then *is* the `bash -c SCRIPT` that
//! a plain start would have made: its own arguments, environment, directory and descriptors.
//!
//! Process 1 (`init/ahead.rs`) names this library in `LD_PRELOAD` of that one process. It has no standard library and
//! exports nothing; the loader runs its only function before `main`. The environment that named it is replaced, so
//! nothing that bash starts loads it.
#![no_std]

#[path = "../src/linux/wire.rs"]
#[allow(dead_code, reason = "each side of the wire uses its part")]
mod wire;

#[path = "../init/start.rs"]
#[allow(dead_code, reason = "process 1 uses the rest")]
mod start;
#[path = "../init/sys.rs"]
#[allow(dead_code, unused_macros, reason = "process 1 uses the rest")]
mod sys;

use start::Start;
use sys::{Cmsg, MADVISE, PRCTL, close, exit, open, read_at, receive, send, syscall};
use wire::*;

unsafe extern "C" {
    /// environ(7): what `main` will get as its environment.
    static mut environ: *const *const u8;
    /// setlocale(3).
    fn setlocale(category: i32, locale: *const core::ffi::c_char) -> *mut core::ffi::c_char;
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
static HOLD: extern "C" fn(i32, *mut *const u8, *const *const u8) = hold;

const BRK: usize = 12;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(97)
}

/// Runs before `main`, with its arguments.
extern "C" fn hold(argc: i32, argv: *mut *const u8, _: *const *const u8) {
    let mut fds = Cmsg::new();
    let mut message = [0u8; 4];
    // Whoever loads this otherwise has no such socket, and is left alone.
    if argc != 3 || send(FD_HELD, &message, &[]) != 4 {
        return;
    }
    let layout = Layout::of_self();
    prepare();
    if receive(FD_HELD, &mut message, &mut fds) != 4 {
        exit(0);
    }
    let mut start = Start::new(fds.fds());
    if let Err(errno) = start.read().map_err(|e| e as u32).and_then(|_| start.place()) {
        send(FD_HELD, &errno.to_ne_bytes(), &[]);
        exit(127);
    }
    start.close_others();
    if let Some(layout) = layout {
        layout.tell(&start);
    }
    // SAFETY: the loader gives three arguments; the payload's tables, of which the third argument and the environment
    // are taken, stay mapped as long as this process runs the program. No other thread exists before `main`.
    unsafe {
        argv.add(2).write(start.argv.add(2).read());
        environ = start.envp;
    }
}

/// Does what `main` would do first, as far as nobody can tell afterwards: the C library keeps a locale that it has read,
/// and the kernel keeps a page that it has mapped.
fn prepare() {
    const LC_ALL: i32 = 6;
    // SAFETY: no other thread exists before `main`; "C" is what the program starts with.
    unsafe {
        setlocale(LC_ALL, c"C.UTF-8".as_ptr());
        setlocale(LC_ALL, c"C".as_ptr());
        dl_iterate_phdr(map_pages, core::ptr::null_mut());
    }
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
#[derive(Default)]
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
        let program =
            [number(26)?, number(27)?, number(45)?, number(46)?, number(47)?, brk, number(28)?];
        Some(Layout { program, exe_fd: u32::MAX, ..Layout::default() })
    }

    /// Tells the kernel where the arguments and the environment are, for /proc. Where it cannot be told (Linux without
    /// checkpoints), the arguments shown are those of a bash without a script.
    fn tell(mut self, start: &Start) {
        const PR_SET_MM: u32 = 35;
        const PR_SET_MM_MAP: u32 = 14;
        // SAFETY: both tables hold at least their NULL; the strings of one follow those of the other.
        let (arguments, environment) = unsafe { (start.argv.read(), start.envp.read()) };
        let environment = if environment.is_null() { start.end } else { environment };
        self.texts = [arguments, environment, environment, start.end].map(|p| p as u64);
        syscall!(PRCTL, PR_SET_MM, PR_SET_MM_MAP, &raw const self, size_of::<Layout>(), 0);
    }
}

fn word(b: &[u8], at: usize) -> u32 {
    match b.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    }
}
