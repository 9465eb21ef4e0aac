//! A bash that has begun before its script is known. What it does until then depends on its environment, its directory and
//! what its standard streams are, and takes half of a short script's time: the next script's process does it while nobody
//! waits, with those of the last one. The script that comes is taken only when all of that is the same.
//!
//! Bash calls `setjmp` when it is about to run the string of `-c`. This library stands in for that call, waits there, puts
//! the string in its place, and corrects the two things that bash has noted meanwhile: the string and the time. A bash in
//! which anything of that is not found is never begun; one in which it does not work fails its trial.

use crate::layout::Layout;
use crate::leaving;
use crate::message::word;
use crate::start::{self, Mapped, Start};
use crate::sys::{self, *};
use crate::usual::Usual;
use crate::wire::*;
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Room for a script in place: the longest argument that Linux passes.
const ROOM: usize = 128 << 10;
/// Value of bash's `startup_state` when it runs the string of `-c`.
const RUNS_STRING: i32 = 2;
/// The script on trial, and what it is replaced by.
const ON_TRIAL: &CStr = c"exit 0";

unsafe extern "C" {
    /// dlsym(3).
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    /// gettimeofday(2): `struct timeval` and nothing.
    fn gettimeofday(time: *mut [i64; 2], zone: *mut c_void) -> i32;
}

/// The C library's `__sigsetjmp`.
static REAL: AtomicUsize = AtomicUsize::new(0);
/// Whether bash is expected to come to its script.
static EXPECTED: AtomicBool = AtomicBool::new(false);
/// What waits there. Written before `EXPECTED` is set.
static mut BEGUN: Option<Begun> = None;

/// Finds the functions that this library stands in for; whoever has loaded this needs them.
pub fn find_real() {
    const NEXT: *mut c_void = -1isize as *mut c_void;
    // SAFETY: dlsym with a handle that it documents, and a name.
    let real = |name: &CStr| unsafe { dlsym(NEXT, name.as_ptr()) };
    REAL.store(real(c"__sigsetjmp") as usize, Ordering::Relaxed);
    leaving::found(real(c"exit"));
}

/// sigsetjmp(3) as glibc calls it. The C library's own returns to the caller, because the stack is as it was.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sigsetjmp() {
    core::arch::naked_asm!(
        "cmp byte ptr [rip + {expected}], 0",
        "je 2f",
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "call {come}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "2:",
        "jmp qword ptr [rip + {real}]",
        expected = sym EXPECTED,
        come = sym come,
        real = sym REAL,
    )
}

/// Bash has come to a `setjmp`.
extern "C" fn come() {
    // SAFETY: written before it was expected, by this only thread, and not moved since.
    let Some(begun) = (unsafe { (*(&raw mut BEGUN)).as_mut() }) else { return };
    if !begun.bash.runs_string() {
        return;
    }
    EXPECTED.store(false, Ordering::Relaxed);
    match begun.then {
        Then::Try => begun.put(ON_TRIAL),
        Then::Wait { pipe, tells } => begun.wait(pipe, tells),
    }
}

/// What of a bash has to be known and put right.
#[derive(Clone, Copy)]
pub struct Inner {
    /// How far it has come.
    startup_state: *const i32,
    /// When it was started, in seconds, for `SECONDS`.
    shell_start_time: *mut i64,
    /// The same, as a `struct timeval`.
    shellstart: *mut [i64; 2],
    /// Sets a variable: its name, its value, flags.
    bind_variable: unsafe extern "C" fn(*const c_char, *const c_char, i32) -> *mut c_void,
}

impl Inner {
    /// Finds them in this process: a bash exports them for its loadable builtins.
    pub fn find() -> Option<Inner> {
        let find = |name: &CStr| {
            // SAFETY: NULL is the handle of all that is loaded.
            let found = unsafe { dlsym(core::ptr::null_mut(), name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        let bind = find(c"bind_variable")?;
        // SAFETY: bash's function of that name has had these arguments since version 4.
        let bind_variable = unsafe {
            core::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*const c_char, *const c_char, i32) -> *mut c_void,
            >(bind)
        };
        Some(Inner {
            startup_state: find(c"startup_state")?.cast(),
            shell_start_time: find(c"shell_start_time")?.cast(),
            shellstart: find(c"shellstart")?.cast(),
            bind_variable,
        })
    }

    fn runs_string(&self) -> bool {
        // SAFETY: bash's own variable.
        unsafe { self.startup_state.read() == RUNS_STRING }
    }

    /// Has it note a script that begins now.
    fn note(&self, script: &CStr) {
        let mut now = [0i64; 2];
        // SAFETY: bash's own variables, and its own function, between two calls of its own.
        unsafe {
            gettimeofday(&raw mut now, core::ptr::null_mut());
            self.shellstart.write(now);
            self.shell_start_time.write(now[0]);
            (self.bind_variable)(c"BASH_EXECUTION_STRING".as_ptr(), script.as_ptr(), 0);
        }
    }
}

/// A bash that goes towards a script, and the place of that.
struct Begun {
    bash: Inner,
    script: *mut u8,
    then: Then,
    /// What it was begun with.
    usual: Usual,
    layout: Option<Layout>,
}

/// What is to be done when it comes there.
enum Then {
    /// Put the trial's in place.
    Try,
    /// Wait for the next script.
    Wait {
        pipe: i32,
        /// Its end is told.
        tells: bool,
    },
}

/// Has bash go on to its script, which is replaced there: a trial. What has to be its string is returned.
pub fn on_trial(bash: Inner) -> Option<*const u8> {
    expect(bash, Then::Try, &Usual::new(), None)
}

/// Has bash go on and wait where it would run its script. What it has to be started with is returned; where this cannot
/// be, no more than the directory and stdin are others, which every script is given its own.
pub fn begin(
    bash: Inner,
    usual: &Usual,
    layout: Option<&Layout>,
    (pipe, tells): (i32, bool),
) -> Option<Start> {
    let (directory, environment) = usual.table()?;
    check(syscall!(CHDIR, directory.as_ptr())).ok()?;
    start::take_null().ok()?;
    let strings = map(-1, 4 * size_of::<*const u8>()).ok()?.cast::<*const u8>();
    let script = expect(bash, Then::Wait { pipe, tells }, usual, layout)?;
    for (i, string) in [c"bash".as_ptr().cast(), c"-c".as_ptr().cast(), script].into_iter().enumerate() {
        // SAFETY: there is room for three strings and NULL.
        unsafe { strings.add(i).write(string) };
    }
    Some(Start::of(strings, environment))
}

fn expect(bash: Inner, then: Then, usual: &Usual, layout: Option<&Layout>) -> Option<*const u8> {
    let script = map(-1, ROOM).ok()?;
    let begun = Begun { bash, script, then, usual: usual.clone(), layout: layout.cloned() };
    begun.put(BASH_FAILS);
    // SAFETY: this process has one thread, and nothing is expected yet.
    unsafe { BEGUN = Some(begun) };
    EXPECTED.store(true, Ordering::Relaxed);
    Some(script)
}

impl Begun {
    /// Puts a script in place, which fits.
    fn put(&self, script: &CStr) {
        let bytes = script.to_bytes_with_nul();
        // SAFETY: `ROOM` bytes were mapped; who calls this has seen that the script fits.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.script, bytes.len()) };
    }

    /// Becomes the next script, if that suits. Otherwise this process ends, and process 1 goes on without it.
    fn wait(&mut self, pipe: i32, tells: bool) {
        // What ends the script while it is taken ends it when it has begun.
        let signals = mask_signals(!0);
        let (mut buffer, mut fds) = ([0u8; RUN_LEN], Cmsg::new());
        let room = Mapped::ahead();
        let len = look(FD_CONTROL, &mut buffer, &mut fds);
        if !is_script(&buffer) {
            exit(0);
        }
        let mut start = Start::new(word(&buffer, 4), fds.fds());
        let read = start.read(buffer.get(..len as usize).unwrap_or(&[]), room.as_ref());
        // Some of what bash looks at before its script are terminals and sockets among its standard streams.
        let is_plain = word(&buffer, 4) & RUN_PIPES != 0;
        if read.is_err() || !is_plain || !self.usual.is(&start) {
            exit(0);
        }
        let Some(script) = start.script().filter(|s| s.count_bytes() < ROOM) else { exit(0) };
        self.usual.came(true, word(&buffer, 8));
        take(&start, &mut self.usual, self.layout.as_ref(), pipe, Start::place_descriptors);
        self.put(script);
        self.bash.note(script);
        if tells {
            leaving::will_tell();
        }
        mask_signals(signals);
    }
}

/// Tells process 1 that this process is the script now, takes the message that was looked at, and puts what belongs to the
/// script in place. Whoever dies between the first two has not taken it, which process 1 sees.
pub fn take(
    start: &Start,
    usual: &mut Usual,
    layout: Option<&Layout>,
    pipe: i32,
    place: impl Fn(&Start) -> Result<(), u32>,
) {
    if usual.tell(start, pipe).is_err() {
        exit(0);
    }
    // The descriptors came already.
    sys::read(FD_CONTROL, &mut [0; 4]);
    usual.leave();
    if let Err(errno) = place(start) {
        fail(pipe, errno);
    }
    start.close_others();
    if let Some(layout) = layout {
        layout.tell(start);
    }
}

/// Tells process 1 why a script that was taken does not run.
pub fn fail(pipe: i32, errno: u32) -> ! {
    let _ = write_all(pipe, &errno.to_ne_bytes());
    exit(127)
}

/// Whether a message asks for a script.
pub fn is_script(message: &[u8]) -> bool {
    word(message, 0) == MSG_RUN && word(message, 4) & RUN_SCRIPT != 0
}
