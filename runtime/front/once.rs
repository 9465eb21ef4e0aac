//! Runs the action of a usual command line, and ends: the C library and the program itself take longer to begin than a
//! sandbox and its action together. Nothing is handed on that the library would not: the request is the record's, to the
//! byte, and the view's files are what they were. What turns out not to be simple (it changes files, is killed, does not
//! find a program, takes its time) is left to the program, at whatever point: it goes on from there.

use crate::asking::{Asking, Words};
use crate::finishing::Finishing;
use crate::groups::{self, Counters};
use crate::guess::may_change;
use crate::leave::{MOST_GROUPS, Rest, STACK, start};
use crate::line::Line;
use crate::message::word;
use crate::named::{Begun, Parts, SAID};
use crate::output::{Output, PIPE, STDERR, STDOUT};
use crate::paths::{Place, open_at, read_file};
use crate::records::ROOM;
use crate::stamps;
use crate::sys::*;
use crate::wire::*;

/// Milliseconds that the walls may take, and an action: with a longer one the time of the program's beginning is not seen.
const WALLS: i32 = 100;
const LONG: i32 = 100;
/// Milliseconds in which only the end of an action is waited for: its output stays in the pipes. After more its stderr is
/// left to the program.
const SHORT: i32 = 1;
const NOT_SHORT: i32 = 5;
const AT_FDCWD: i32 = -100;
/// Exit status of `sbx` itself.
const SBX_FAILED: i32 = 125;

/// An action that may be asked for.
pub struct Once<'a> {
    asking: Asking<'a>,
    finishing: Finishing<'a>,
    message: &'static [u8],
    /// It is dropped, and nobody knows, where something has changed: it reads nothing that its caller has only once, and
    /// reaches nothing outside.
    leaves_no_trace: bool,
    /// Nothing is expected of it but output.
    is_plain: bool,
    /// What it changes is asked for.
    can_change: bool,
}

impl<'a> Once<'a> {
    pub fn of(line: &Line, record: &Parts<'a>) -> Option<Once<'a>> {
        let (asking, finishing) = (Asking::read(record.asking)?, Finishing::read(record.finishing)?);
        let may_be_refused = match line.words {
            Words::Script(script) => finishing.may_refuse(script),
            Words::Program(mut argv) => argv.any(|word| finishing.may_refuse(word)),
        };
        let stdin = file_kind(0).ok().filter(|(mode, _)| !may_be_refused && may_be_read(*mode))?;
        let leaves_no_trace = is_null(stdin) && !finishing.reaches_out;
        let message = message(&asking, &line.words)?;
        let can_change = line.keeps_changes && finishing.can_change;
        let is_plain = line.is_plain && !(can_change && may_change(&line.words));
        Some(Once { asking, finishing, message, leaves_no_trace, is_plain, can_change })
    }

    /// What process 1 is told with its plan. Where the action is asked for at once, a processor waits.
    pub fn flags(&self) -> u32 {
        GO_ASKED | if self.leaves_no_trace { GO_AWAITED } else { 0 }
    }

    /// Asks for it, and compares what was asked for with the record, and the view with the host: first where it must not
    /// run otherwise. Waits for its end if it is a simple one, and ends with it; otherwise that is left to the program.
    pub fn run(self, is_recorded: impl FnOnce() -> bool, begun: &mut Begun) {
        let holds = || is_recorded() && is_kept(&self.finishing) == Some(true);
        let outputs = if self.leaves_no_trace {
            let outputs = ask(&self.asking, self.message, begun);
            // Until the walls stand process 1 needs both processors.
            readable(begun.control - 1, WALLS);
            outputs.filter(|_| holds())
        } else if holds() {
            ask(&self.asking, self.message, begun)
        } else {
            None
        };
        match outputs {
            Some(outputs) => {
                begun.is_compared = 1;
                self.finish(outputs, begun);
            }
            None => self.drop(begun),
        }
    }

    /// What was begun is of no use.
    fn drop(self, begun: &mut Begun) {
        let fds = [begun.control, begun.pidfd, begun.outputs[0], begun.outputs[1]];
        if leave(&self.asking, begun.pidfd - 1, true).is_none() {
            // At its end, which is that of the socket, nobody is left to remove its groups but the next sweep.
            groups::remove(&self.asking);
        }
        fds.into_iter().filter(|fd| *fd > 0).for_each(|fd| close(fd - 1));
        *begun = Begun::NONE;
    }

    fn finish(self, outputs: [i32; 2], begun: &mut Begun) -> Option<core::convert::Infallible> {
        groups::sweep(&self.asking);
        if !self.is_plain || syscall!(GETPID) == 1 {
            return None;
        }
        // What can be done while others work is not to be done at the end.
        let counters = Counters::open(&self.asking);
        leave(&self.asking, begun.pidfd - 1, false)?;
        hear(begun)?;
        let [out, err] = outputs;
        let (mut out, mut err) = (Output::new(out, STDOUT), Output::new(err, STDERR));
        let code = wait(begun.control - 1, &mut out, err.from)?;
        if !(is_simple(self.can_change, begun) && counters.are_quiet() && is_told(err.from)?) {
            return None;
        }
        out.forward();
        err.forward();
        exit(if out.is_lost || err.is_lost { SBX_FAILED } else { code })
    }
}

const GETPID: usize = 39;

/// Whether a file of this mode may be an action's stdin. A regular one may not, and a directory: through `/proc/self/fd` the
/// action would have the file itself, or what is beneath.
fn may_be_read(mode: u32) -> bool {
    const KIND: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o040_000;
    !matches!(mode & KIND, REGULAR | DIRECTORY)
}

/// Whether it is the null device.
fn is_null((mode, device): (u32, u64)) -> bool {
    const KIND: u32 = 0o170_000;
    const CHARACTERS: u32 = 0o020_000;
    const NULL: u64 = 1 << 8 | 3;
    mode & KIND == CHARACTERS && device == NULL
}

/// The message that asks for the action. It stays.
fn message(asking: &Asking<'_>, words: &Words<crate::line::Strings>) -> Option<&'static [u8]> {
    let room = map(-1, RUN_LEN).ok()?.cast::<[u8; RUN_LEN]>();
    // SAFETY: a fresh mapping of this length, which stays, and which nobody else refers to.
    let room = unsafe { &mut *room };
    asking.message(words, groups::count(asking)? as u32, room)
}

/// Whether the view is in the cache, where it then stays until this process ends, and holds.
fn is_kept(finishing: &Finishing<'_>) -> Option<bool> {
    const O_RDWR: u32 = 2;
    const FLOCK: usize = 73;
    const SHARED_NOW: u32 = 1 | 4;
    const UTIMENSAT: usize = 280;
    let lock = open_at(AT_FDCWD, finishing.lock.as_ptr(), O_RDWR)?;
    check(syscall!(FLOCK, lock, SHARED_NOW)).ok()?;
    // Whoever removes a thing removes its lock too: then this one is nobody's.
    let there = open_at(AT_FDCWD, finishing.lock.as_ptr(), O_PATH)?;
    let is_same = file_identity(lock) == file_identity(there);
    close(there);
    close(open_at(AT_FDCWD, finishing.tree.as_ptr(), O_PATH | O_DIRECTORY)?);
    // The last use. A cache on a read-only file system is as good.
    syscall!(UTIMENSAT, lock, 0, 0, 0);
    let record = open_at(AT_FDCWD, finishing.record.as_ptr(), 0)?;
    let is_known = file_version(record).is_ok_and(|version| version == finishing.record_is);
    let text = read_file(record, ROOM)?;
    let stamps = text.get(text.iter().position(|b| *b == b'\n')?..)?;
    Some(is_same && is_known && stamps::hold(stamps))
}

/// Asks for the action, with limits and on pipes: those that are read.
fn ask(asking: &Asking<'_>, message: &'static [u8], begun: &mut Begun) -> Option<[i32; 2]> {
    // Doors, stdin, and two pipes.
    let mut fds = [0i32; MOST_GROUPS + 3];
    let count = groups::count(asking)?;
    if !groups::make(asking, fds.get_mut(..count)?) {
        return None;
    }
    let Some((outputs, ends)) = pipes() else {
        groups::remove(asking);
        return None;
    };
    fds.iter_mut().skip(count).zip([0].into_iter().chain(ends)).for_each(|(to, fd)| *to = fd);
    let fds = fds.get(..count + 3)?;
    let is_sent = send(begun.control - 1, message, fds) == message.len() as isize;
    fds.iter().filter(|fd| **fd > 2).for_each(|fd| close(*fd));
    if !is_sent {
        outputs.into_iter().for_each(close);
        groups::remove(asking);
        return None;
    }
    begun.outputs = outputs.map(|fd| fd + 1);
    (begun.message, begun.message_length) = (message.as_ptr() as usize, message.len());
    Some(outputs)
}

/// The ends of two pipes: those that are read here, without waiting, and those that are written.
fn pipes() -> Option<([i32; 2], [i32; 2])> {
    const F_SETFL: u32 = 4;
    const O_NONBLOCK: u32 = 0o4000;
    let [[out, to_out], [err, to_err]] = [pipe().ok()?, pipe().ok()?];
    for fd in [out, err] {
        check(syscall!(FCNTL, fd, F_SETFL, O_NONBLOCK)).ok()?;
    }
    Some(([out, err], [to_out, to_err]))
}

/// Hears that the walls stand, every one of them.
fn hear(begun: &mut Begun) -> Option<()> {
    let control = begun.control - 1;
    if !readable(control, WALLS) {
        return None;
    }
    let (mut said, mut fds) = ([0u8; SAID], Cmsg::new());
    let len = receive(control, &mut said, &mut fds);
    begun.heard = u32::try_from(len).ok()?;
    begun.said = said;
    begun.dirs.iter_mut().zip(fds.fds()).for_each(|(to, fd)| *to = fd + 1);
    (begun.heard as usize >= READY_LEN && word(&said, 0) == MSG_READY && word(&said, 12) == 0).then_some(())
}

/// Waits for the end of the action, and meanwhile hands its stdout on: its exit code. The word of its end stays in the socket.
fn wait(control: i32, out: &mut Output, err: i32) -> Option<i32> {
    const NOT_FOUND: u32 = 127;
    let began = micros();
    if !readable(control, SHORT) {
        let mut fds = [control, out.from, -1];
        loop {
            let passed = (micros().wrapping_sub(began) / 1000) as i32;
            // Whatever else there is to do.
            if passed >= LONG {
                return None;
            }
            let end = if passed < NOT_SHORT { NOT_SHORT } else { LONG };
            match news(&mut fds, end - passed) {
                Some(0) => break,
                Some(1) => {
                    out.forward();
                    if out.is_over {
                        fds[1] = -1;
                    }
                }
                None if end == NOT_SHORT => fds[2] = err,
                _ => return None,
            }
        }
    }
    let mut done = [0u8; DONE_LEN];
    if peek(control, &mut done) != DONE_LEN as isize || word(&done, 0) != MSG_DONE {
        return None;
    }
    let (status, errno) = (word(&done, 4), word(&done, 8));
    let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
    (signal == 0 && errno == 0 && code != NOT_FOUND).then_some(code as i32)
}

/// Waits until one of these can be read: the first of them. `None` when the time in milliseconds is over. Where the other
/// end was closed nothing will come, and it is not looked at again.
fn news(fds: &mut [i32; 3], milliseconds: i32) -> Option<usize> {
    const POLLIN: i64 = 1;
    loop {
        let mut all = fds.map(|fd| (i64::from(fd) & 0xffff_ffff) | POLLIN << 32);
        if check(syscall!(POLL, all.as_mut_ptr(), all.len(), milliseconds.max(0))) == Ok(0) {
            return None;
        }
        let came = all.map(|one| one >> 48);
        if let Some(first) = came.iter().position(|events| events & POLLIN != 0) {
            return Some(first);
        }
        let [control, ..] = came;
        // Process 1 has ended.
        if control != 0 {
            return Some(0);
        }
        fds.iter_mut().zip(came).filter(|(_, events)| *events != 0).for_each(|(fd, _)| *fd = -1);
    }
}

/// Whether there is nothing to say of the action but its output: it has changed nothing that is asked for, and had room.
fn is_simple(can_change: bool, begun: &Begun) -> bool {
    const FSTATFS: usize = 138;
    let has_room = |dir: i32| {
        let mut area = [0u64; 15];
        check(syscall!(FSTATFS, dir, area.as_mut_ptr())).is_ok() && area[4] != 0 && area[6] != 0
    };
    let mut areas = begun.dirs.iter().filter(|dir| **dir > 0).map(|dir| *dir - 1);
    let is_unchanged = || !can_change || areas.clone().next().is_some_and(is_empty);
    is_unchanged() && areas.all(has_room)
}

fn is_empty(dir: i32) -> bool {
    const LSEEK: usize = 8;
    let (mut room, mut count) = ([0; 4096], 0);
    let is_there = groups::entries(dir, &mut room, |name| {
        count += usize::from(!matches!(name, b"." | b".."));
        Some(())
    });
    syscall!(LSEEK, dir, 0, 0);
    is_there && count == 0
}

/// Whether its stderr says all: of a program that was not found more is to be said. It stays in its pipe.
fn is_told(err: i32) -> Option<bool> {
    const FIONREAD: u32 = 0x541b;
    const TEE: usize = 276;
    let mut unread = 0i32;
    check(syscall!(IOCTL, err, FIONREAD, &raw mut unread)).ok()?;
    if unread == 0 {
        return Some(true);
    }
    let ([from, to], text) = (pipe().ok()?, map(-1, PIPE).ok()?);
    let len = check(syscall!(TEE, err, to, PIPE, 0)).ok()?;
    // SAFETY: a fresh mapping of this length, which stays.
    let text = unsafe { core::slice::from_raw_parts_mut(text, len.min(PIPE)) };
    let is_all = len as i32 == unread && read(from, text) == len as isize;
    [from, to].into_iter().for_each(close);
    let says = |words: &[u8]| text.windows(words.len()).any(|part| part == words);
    Some(is_all && !says(b"not found") && !says(b"No such file"))
}

/// What is left when this program has ended.
struct Left {
    rest: Rest,
    paths: [Option<Place>; MOST_GROUPS],
}

/// Leaves the end of the sandbox to a process of its own.
fn leave(asking: &Asking<'_>, process1: i32, kills: bool) -> Option<()> {
    let left = map(-1, size_of::<Left>()).ok()?.cast::<Left>();
    let stack = map(-1, STACK).ok()?;
    // SAFETY: a fresh mapping of this size, which stays, and which nobody else refers to.
    let Left { rest, paths } = unsafe {
        left.write(Left {
            rest: Rest { process1, kills, groups: [core::ptr::null(); MOST_GROUPS] },
            paths: [None, None],
        });
        &mut *left
    };
    for ((group, path), pointer) in asking.groups().zip(paths).zip(&mut rest.groups) {
        *pointer = path.insert(groups::place(&group)?).pointer();
    }
    // SAFETY: another fresh mapping; neither is used here afterwards.
    unsafe { start(rest, stack.add(STACK)).then_some(()) }
}
