//! Starts actions and waits for them. One at a time; nothing that an action started outlives it. Compiled into process 1,
//! and into the library by which process 1 becomes a bash (`ahead/`).

use crate::ending::{Ending, Endings};
use crate::message::{put, put_long, word};
use crate::signals::Signals;
use crate::start::Start;
use crate::sys::*;
use crate::used::Used;
use crate::victim::before_this;
use crate::wire::*;

/// Bytes of stack for a child until exec, above the message that asks for it.
pub const CHILD_STACK: usize = 16 << 10;

/// An action's child as the parent sees it: what to start, and why that failed.
struct Child {
    start: Start,
    /// Stdout is to be its controlling terminal.
    terminal: bool,
    /// Set by the child when no program could be started.
    errno: u32,
}

/// What this process 1 does between two actions: by what it is.
pub trait Between {
    /// Works ahead. Returns in a process that is an action.
    fn rest(&mut self) -> Option<Start>;
    /// The process of an action has begun.
    fn begun(&mut self) {}
    /// Waits for the library's next message, or until a process that it was for has ended.
    fn listen(&mut self, signals: &Signals, buffer: &mut [u8], fds: &mut Cmsg) -> Heard;
}

/// What came.
pub enum Heard {
    /// A message of this many bytes; 0 or less at the end.
    Message(isize),
    /// A script, and it has ended with this status. If it could not begin, the pipe says why.
    Script { status: u32, pipe: i32 },
    /// A script that says its end.
    Ending(Ending),
    /// Nothing yet: what came waits for a process that suits it.
    Nothing,
}

/// What the start of a program needs.
struct Server {
    signals: Signals,
    endings: Option<Endings>,
    /// The stack that children use until exec, from its upper end; messages are received at its lower end.
    stack: *mut u8,
}

/// Serves requests until the library is gone. Returns in a process that is an action. `stack` is of [`CHILD_STACK`] bytes, which
/// take no memory before the first message, and which nobody else uses.
pub fn serve(between: &mut impl Between, stack: *mut u8, endings: Option<Endings>) -> Start {
    let server = Server { signals: Signals::new(), endings, stack };
    let mut may_work_ahead = true;
    loop {
        if may_work_ahead && let Some(start) = between.rest() {
            return start;
        }
        // SAFETY: the lower end of what is there for children, none of which is there; no other reference to it lives.
        let buffer = unsafe { core::slice::from_raw_parts_mut(server.stack, RUN_LEN) };
        let mut fds = Cmsg::new();
        match between.listen(&server.signals, buffer, &mut fds) {
            Heard::Message(..4) => exit(0),
            Heard::Message(len) if word(buffer, 0) == MSG_RUN => {
                let flags = word(buffer, 4);
                server.run(buffer.get(..len as usize).unwrap_or(&[]), fds.fds(), between);
                may_work_ahead = flags & RUN_AHEAD != 0;
            }
            Heard::Message(_) => {
                fds.fds().iter().for_each(|fd| close(*fd));
                if word(buffer, 0) == MSG_FORGET {
                    server.signals.forget();
                }
            }
            Heard::Script { status, pipe } => end(status, pipe),
            Heard::Ending(Ending { status, used, .. }) => {
                done((status, 0), Used::by(Used::CHILDREN).and(used), 0);
            }
            Heard::Nothing => {}
        }
    }
}

/// Enters the cgroups. Who moves himself, and has one thread, waits for nobody (cgroup v1).
fn enter(doors: &[i32]) {
    for door in doors {
        // Without its limits nothing may be started.
        if write_all(*door, b"0").is_err() {
            exit(91);
        }
        close(*door);
    }
}

impl Server {
    /// Runs an action to its end.
    fn run(&self, message: &[u8], fds: &[i32], between: &mut impl Between) {
        // Who waits to become a script must not be seen by this action. Without one, nothing is there to kill.
        sweep();
        let flags = word(message, 4);
        // One that did not come is a limit that would not hold.
        let Some((doors, fds)) = fds.split_at_checked((flags >> RUN_DOORS) as usize) else { exit(91) };
        enter(doors);
        let start = Start::new(flags, fds);
        let mut child = Child { start, terminal: flags & RUN_TERMINAL != 0, errno: 0 };
        let started = self.spawn(&mut child, message);
        between.begun();
        // The child has its own copies; ours would keep the pipes open.
        fds.iter().for_each(|fd| close(*fd));
        match started {
            Ok(pid) => {
                let status = self.signals.wait(pid, None, (self.endings, None)).status();
                finish((status, child.errno), sweep());
            }
            Err(e) => finish((0, e as u32), 0),
        }
    }

    fn spawn(&self, child: &mut Child, message: &[u8]) -> Result<i32, i32> {
        let mapped = child.start.read(message, None)?;
        // SAFETY: one past the end of the stack, whose length is a multiple of 16.
        let top = unsafe { self.stack.add(CHILD_STACK) };
        // SAFETY: the stack is free; `become_action` never returns and touches only `child`, which outlives it.
        let pid = before_this(|| check(unsafe { vfork(top, become_action, (child as *mut Child).cast()) }));
        mapped.unmap();
        pid.map(|pid| pid as i32)
    }
}

/// Ends a script that has begun by itself.
fn end(status: u32, pipe: i32) {
    /// The status of a process that did not become its script.
    const FAILED: u32 = 127 << 8;
    let mut errno = [0u8; 4];
    let failed = status == FAILED && read(pipe, &mut errno) == 4;
    finish((status, if failed { word(&errno, 0) } else { 0 }), sweep());
    close(pipe);
}

/// Tells the end of an action of which nothing is left.
fn finish(how: (u32, u32), left: u32) {
    done(how, Used::by(Used::CHILDREN), left);
}

fn done((status, errno): (u32, u32), used: Used, left: u32) {
    let mut m = [0u8; DONE_LEN];
    put(&mut m, 0, MSG_DONE);
    put(&mut m, 4, status);
    put(&mut m, 8, errno);
    put_long(&mut m, 12, used.micros);
    put_long(&mut m, 20, used.peak);
    put(&mut m, 28, left);
    send(FD_CONTROL, &m, &[]);
}

/// The child between vfork and exec: descriptors, directory, signals, exec. No allocation, no lock, no return.
extern "C" fn become_action(arg: *mut u8) -> ! {
    // SAFETY: `arg` is the parent's `Child`; the parent sleeps until this process execs or exits.
    let child = unsafe { &mut *arg.cast::<Child>() };
    syscall!(SETSID);
    if let Err(e) = child.start.place() {
        fail(child, e);
    }
    if child.terminal {
        const TIOCSCTTY: u32 = 0x540e;
        if let Err(e) = check(syscall!(IOCTL, 1, TIOCSCTTY, 0)) {
            fail(child, e as u32);
        }
    }
    child.start.close_others();
    unblock_signals();
    let mut denied = ENOENT;
    let mut program = child.start.programs;
    loop {
        // SAFETY: the table ends with NULL.
        let path = unsafe { program.read() };
        if path.is_null() {
            fail(child, denied as u32);
        }
        match -syscall!(EXECVE, path, child.start.argv, child.start.envp) as i32 {
            ENOENT | ENOTDIR => {}
            EACCES => denied = EACCES,
            e => fail(child, e as u32),
        }
        // SAFETY: not yet at the NULL.
        program = unsafe { program.add(1) };
    }
}

fn fail(child: &mut Child, errno: u32) -> ! {
    child.errno = errno;
    exit(127)
}

/// Kills every other process of the namespace and reaps it. The kernel holds the task list while it signals, and a fork
/// in flight fails on the pending signal, so nothing slips through. Whoever loses its parent becomes this process's
/// child: without children there is nobody to kill, and no task list to walk.
fn sweep() -> u32 {
    const WNOHANG: u32 = 1;
    let mut left = 0;
    let mut s = 0u32;
    let mut how = WNOHANG;
    loop {
        match check(syscall!(WAIT4, -1i32, &raw mut s, how, 0)) {
            Ok(0) => {
                syscall!(KILL, -1i32, SIGKILL);
                how = 0;
            }
            Ok(_) => {
                left += 1;
                how = WNOHANG;
            }
            Err(EINTR) => {}
            Err(_) => return left,
        }
    }
}
