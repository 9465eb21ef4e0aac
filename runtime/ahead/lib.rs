//! Makes process 1 a bash that stands before its `main`, loaded and linked, and serves from there: a script is a fork,
//! which *is* the `bash -c SCRIPT` that a plain start would have made: its own arguments, environment, directory and
//! descriptors. Loading a bash takes three quarters of what a short script costs. When nobody asks for a while, that fork
//! also goes through what bash does before its script: see `begun`.
//!
//! Process 1 (`init/ahead.rs`) names this library in `LD_PRELOAD` when it becomes a bash. It has no standard library; the
//! loader runs one function of it before `main`. A script's environment is its own, so nothing that it starts loads this.
#![no_std]

#[path = "../init/action.rs"]
mod action;
mod begun;
mod layout;
mod leaving;
mod usual;
#[path = "../src/linux/wire.rs"]
#[allow(dead_code, reason = "each side of the wire uses its part")]
mod wire;

#[path = "../init/ending.rs"]
mod ending;
#[path = "../init/message.rs"]
mod message;
#[path = "../init/place.rs"]
mod place;
#[path = "../init/signals.rs"]
mod signals;
#[path = "../init/start.rs"]
mod start;
#[path = "../init/sys.rs"]
#[allow(dead_code, unused_macros, reason = "process 1 uses the rest")]
mod sys;
#[path = "../init/text.rs"]
mod text;
#[path = "../init/used.rs"]
mod used;
#[path = "../init/victim.rs"]
mod victim;

use action::{Between, Heard};
use begun::{Inner, is_script};
use core::ffi::CStr;
use ending::{Ending, Endings, Script};
use layout::Layout;
use message::word;
use signals::{Ended, Signals};
use start::Start;
use sys::*;
use usual::Usual;
use victim::before_this;
use wire::*;

unsafe extern "C" {
    /// environ(7): what `main` will get as its environment.
    static mut environ: *const *const u8;
    /// setlocale(3).
    fn setlocale(category: i32, locale: *const core::ffi::c_char) -> *mut core::ffi::c_char;
    /// fork(2), by the C library, which keeps account of it.
    fn fork() -> i32;
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn(i32, *mut *const u8, *const *const u8) = before_main;

/// `argv` of a script: `bash`, `-c`, and the script. Process 1 is started with as many.
const ARGUMENTS: usize = 3;
/// How long nothing must be asked for until bash is begun, in milliseconds: what it needs then may be taken from the caller.
const PAUSE: i32 = 1;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(97)
}

/// Runs before `main`, with its arguments.
extern "C" fn before_main(argc: i32, argv: *mut *const u8, _: *const *const u8) {
    begun::find_real();
    if argc as usize != ARGUMENTS {
        return;
    }
    // SAFETY: there are as many arguments, each a string.
    let called = unsafe { CStr::from_ptr(argv.read().cast()) };
    if called == BASH_ON_TRIAL {
        let Some(script) = Inner::find().and_then(begun::on_trial) else { exit(0) };
        // SAFETY: the last of the arguments.
        unsafe { argv.add(ARGUMENTS - 1).write(script) };
        return;
    }
    // Whoever else loads this is left alone.
    if called != BASH_NAME {
        return;
    }
    be(BASH_NAME, false);
    read_locale();
    let Ok(stack) = sys::map(-1, action::CHILD_STACK) else { sys::exit(93) };
    let mut bash = Bash::of_self();
    let endings = bash.endings;
    let start = action::serve(&mut bash, stack, endings);
    // SAFETY: the loader gives as many arguments as a script has; the tables of which they and the environment are taken
    // stay mapped as long as this process runs the program. A fork has no other thread.
    unsafe {
        for i in 0..ARGUMENTS {
            argv.add(i).write(start.argv.add(i).read());
        }
        environ = start.envp;
    }
}

const SCHED_YIELD: usize = 24;

/// Sets what others see of this process: its name, and whether they may look into it.
fn be(title: &CStr, open: bool) {
    const PR_SET_DUMPABLE: u32 = 4;
    syscall!(PRCTL, PR_SET_DUMPABLE, u32::from(open), 0, 0, 0);
    name(title);
}

/// A process 1 that is a bash.
struct Bash {
    /// The process that becomes the next script, and our end of its pipe.
    next: Option<(Script, i32)>,
    /// One has ended because the script that came did not suit it.
    is_unsuited: bool,
    layout: Option<Layout>,
    inner: Option<Inner>,
    usual: Usual,
    endings: Option<Endings>,
    /// A script whose end was told, and that was not let go yet.
    ending: Option<Ending>,
}

impl Between for Bash {
    fn rest(&mut self) -> Option<Start> {
        if self.next.is_some() {
            return None;
        }
        self.usual.go();
        // The library, which was woken where this process runs, goes first. It is expected to be slow if it was before.
        let is_idle = self.usual.is_slow && !readable(FD_CONTROL, PAUSE);
        self.let_go();
        if !is_idle {
            syscall!(SCHED_YIELD);
        }
        let [ours, theirs] = pipe().ok()?;
        // SAFETY: this process has one thread.
        match before_this(|| unsafe { fork() }) {
            0 => return Some(self.be_next(theirs, is_idle)),
            pid if pid > 0 => {
                let mut script = Script::of(pid);
                if is_idle {
                    script.watch();
                }
                self.next = Some((script, ours));
            }
            _ => close(ours),
        }
        close(theirs);
        None
    }

    /// The next script's process listens itself: between the library and it nobody has to wake up.
    fn listen(&mut self, signals: &Signals, buffer: &mut [u8], fds: &mut Cmsg) -> Heard {
        self.let_go();
        if let Some((script, pipe)) = self.next.take() {
            let word = (!self.usual.is_slow).then_some(pipe);
            let ended = signals.wait(script.pid, word, (self.endings, Some(&script)));
            // No other script is asked for before this one has ended: if one is, this is it, and was not taken.
            let was_left = readable(FD_CONTROL, 0) && script_waits(buffer);
            if self.usual.hear(pipe) && !was_left {
                self.is_unsuited = false;
                return match ended {
                    Ended::Reaped(status) => Heard::Script { status, pipe },
                    Ended::Told(ending) => {
                        close(pipe);
                        self.ending = Some(ending);
                        Heard::Ending(ending)
                    }
                };
            }
            // What came is no script, or none that suits a bash which has begun; or the process was killed.
            close(pipe);
            if !self.is_unsuited && script_waits(buffer) {
                self.is_unsuited = true;
                return Heard::Nothing;
            }
        }
        self.is_unsuited = false;
        self.usual.leave();
        Heard::Message(receive(FD_CONTROL, buffer, fds))
    }
}

impl Bash {
    fn of_self() -> Bash {
        Bash {
            next: None,
            is_unsuited: false,
            layout: Layout::of_self(),
            inner: Inner::find(),
            usual: Usual::new(),
            endings: Endings::of_self(),
            ending: None,
        }
    }

    /// Has a script end that has said so, and waits for that: nobody else is there.
    fn let_go(&mut self) {
        if let (Some(endings), Some(ending)) = (self.endings, self.ending.take()) {
            endings.let_go(&ending);
            reap(ending.pid);
        }
    }

    /// Waits for the next script, as a session of its own, and becomes it; or a bash that begins now and waits in its midst.
    /// Leaves everything else to process 1.
    fn be_next(&mut self, pipe: i32, is_idle: bool) -> Start {
        be(c"bash", true);
        setsid();
        let is_idle = is_idle || !readable(FD_CONTROL, PAUSE);
        if is_idle && let Some(inner) = self.inner {
            // Bash looks at what is blocked when it begins.
            unblock_signals();
            let tells = self.endings.is_some();
            if let Some(start) = begun::begin(inner, &self.usual, self.layout.as_ref(), (pipe, tells)) {
                return start;
            }
            mask_signals(!0);
        }
        let (mut buffer, mut fds) = ([0u8; RUN_LEN], Cmsg::new());
        let len = look(FD_CONTROL, &mut buffer, &mut fds);
        if !is_script(&buffer) {
            exit(0);
        }
        let mut start = Start::new(word(&buffer, 4), fds.fds());
        let read = start.read(buffer.get(..len as usize).unwrap_or(&[]), None);
        self.usual.came(false, word(&buffer, 8));
        if let Err(errno) = read {
            self.usual.tell_nothing(pipe);
            sys::read(FD_CONTROL, &mut buffer);
            begun::fail(pipe, errno as u32);
        }
        begun::take(&start, &mut self.usual, self.layout.as_ref(), pipe, Start::place);
        unblock_signals();
        start
    }
}

/// Whether the next message asks for a script. Waits for one.
fn script_waits(buffer: &mut [u8]) -> bool {
    peek(FD_CONTROL, buffer) >= 8 && is_script(buffer)
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

/// The precompiled `core` names it in its unwind tables; nothing here unwinds (`panic=abort`).
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
