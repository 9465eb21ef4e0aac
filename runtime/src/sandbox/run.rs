//! Runs one action: feeds it, reads it, ends it in time, and tells what happened.

use super::Sandbox;
use super::payload;
use super::recorded::{self, Doubted};
use super::under_way::{UnderWay, processors};
use super::wire_talk::{Done, message};
use crate::action::Stdin;
use crate::linux::wire::{NO_CWD, RUN_AHEAD, RUN_NO_STDIN, RUN_PIPES, RUN_SCRIPT};
use crate::{Action, Cancel, Error, LONGEST, Observation, Outcome, Output, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use std::any::Any;
use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Time between SIGTERM and SIGKILL when the wall time is over.
const GRACE: Duration = Duration::from_secs(2);
/// Ends a process that would make a file larger than it may be.
const SIGXFSZ: u32 = 25;
/// Time in which the kernel must have killed everything; then the sandbox itself is killed.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is asked meanwhile. A signal is not kept while one like it is on its way to process 1, and an action can send
/// those too, all the time.
pub(super) const AGAIN: Duration = Duration::from_millis(20);
/// An action that writes this many times its kept output is killed: nobody reads it, and it only burns the processor.
const OUTPUT_FACTOR: u64 = 1024;
/// …but never below this many bytes of one stream.
const OUTPUT_FLOOR: u64 = 64 << 20;
/// How long only the end of an action is waited for, after a pause at least as long, and if nothing has to be fed to it: the
/// output of a short one stays in its pipes until then, and who waits is woken once instead of three times. Without a
/// pause process 1 is about to speak while he looks at the pipes.
const SHORT: Duration = Duration::from_millis(1);

type Seen<'a> = &'a mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>;

pub(super) fn run(sandbox: &mut Sandbox, action: &Action, seen: Seen<'_>) -> Result<Observation, Error> {
    sandbox.check_ours()?;
    let (payload, script) =
        payload::encode(action, &sandbox.plan).map_err(|e| Error::system("the action's arguments", e))?;
    let flags = flags(sandbox, action);
    let mut doubted: Option<Doubted> = sandbox.doubted.take();
    let outputs = match &mut doubted {
        Some(doubted) => doubted.outputs(&message(flags, sandbox.groups(), false, &payload).0)?,
        None => None,
    };
    if outputs.is_none()
        && !recorded::leaves_no_trace(&sandbox.policy, action)
        && let Some(doubted) = doubted.take()
    {
        doubted.settle(sandbox)?;
    }
    let mut started = Instant::now();
    let under_way = UnderWay::begin();
    let streams = if let Some(outputs) = outputs {
        Ok(Streams::of(Vec::new(), outputs.map(Some), sandbox))
    } else {
        let doors = sandbox.doors()?;
        sandbox.allow_memory_as_left()?;
        let (message, payload) = message(flags, doors.len(), under_way.is_alone(), &payload);
        Streams::open(sandbox, action, &doors, (&message, payload), script)
    };
    sandbox.has_entered |= streams.is_ok();
    // Where the walls could not be built nobody listens any more: that comes first.
    if let Some(doubted) = doubted {
        started = doubted.settle(sandbox)?;
    }
    let mut streams = streams?;
    let end = streams.serve(sandbox, action, started, seen)?;
    let panic = streams.panic.take();
    if end.done.errno != 0 {
        let text = exec_failure(action, end.done.errno);
        streams.outputs[1].push(text.as_bytes());
        let _ = seen(Stream::Stderr, text.as_bytes());
    }
    let ended = Instant::now();
    let wall = ended - started;
    let since = sandbox.ended.replace(ended);
    // A script may say itself what it has used: not more than there was.
    let most = since.map_or(Duration::MAX, |since| (ended - since).saturating_mul(processors() as u32));
    let cpu = end.done.cpu.saturating_sub(sandbox.cpu_before).min(most);
    sandbox.cpu_before += cpu;
    let observation = observe(sandbox, streams, &end, (wall, cpu));
    panic.map_or(Ok(observation), |panic| resume_unwind(panic))
}

/// A caller's descriptor as a stdin. A directory is none: by way of it an action would reach all that is beneath, to change
/// modes and times or speak to sockets, which Landlock does not look at.
fn readable(fd: &OwnedFd) -> Result<OwnedFd, Error> {
    let stat = rustix::fs::fstat(fd).map_err(|e| Error::system("stdin", e))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let why = "expected a file, a pipe, a socket or a terminal, found a directory";
        return Err(Error::system("stdin", std::io::Error::other(why)));
    }
    fd.try_clone().map_err(|e| Error::system("stdin", e))
}

/// The flags of an action's message.
fn flags(sandbox: &Sandbox, action: &Action) -> u32 {
    let is_given = matches!(action.stdin, Stdin::Descriptor(_))
        || action.stdout.is_some()
        || (action.stderr.is_some() && !action.merged);
    let flags = [
        (action.script().is_some(), RUN_SCRIPT),
        (sandbox.plan.works_ahead, RUN_AHEAD),
        (!is_given, RUN_PIPES),
        (matches!(action.stdin, Stdin::Null), RUN_NO_STDIN),
    ];
    flags.iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum()
}

/// Why the library ended an action.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Time,
    Output,
    Cancelled,
}

/// What is waited for.
#[derive(Clone, Copy)]
struct Sources<'a> {
    /// Word of process 1.
    end: bool,
    streams: bool,
    /// Word of the caller.
    cancel: Option<&'a Cancel>,
}

struct End {
    done: Done,
    stop: Option<Stop>,
}

/// Our ends of the action's pipes.
struct Streams {
    feeds: Vec<Feed>,
    reads: [Option<OwnedFd>; 2],
    outputs: [Output; 2],
    /// The caller's, who heard of the output. It waits until the action is over: its end would be taken for the next one's.
    panic: Option<Box<dyn Any + Send>>,
}

/// Bytes on their way into the action: its stdin, or a long script.
struct Feed {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    at: usize,
}

impl Feed {
    /// Writes as much as fits; closes at the end, or when nobody reads any more.
    fn write(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match rustix::io::write(pipe, &self.bytes[self.at..]) {
            Ok(n) => self.at += n,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.pipe = None,
        }
        if self.at == self.bytes.len() {
            self.pipe = None;
        }
    }
}

impl Streams {
    /// Makes the pipes and sends the action to process 1.
    fn open(
        sandbox: &Sandbox,
        action: &Action,
        doors: &[File],
        message: (&[u8], Option<&[u8]>),
        script: Option<Vec<u8>>,
    ) -> Result<Streams, Error> {
        let system = |e| Error::system("a pipe to the action", e);
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| system(e.into()));
        let mut feeds = Vec::new();
        // A pipe, never a file of ours: a file could be mapped executable through /proc/self/fd.
        let mut feed = |bytes: Vec<u8>| -> Result<OwnedFd, Error> {
            let (read, write) = pipe()?;
            nonblocking(&write).map_err(system)?;
            let mut feed = Feed { pipe: Some(write), bytes, at: 0 };
            feed.write();
            feeds.push(feed);
            Ok(read)
        };
        let stdin = match &action.stdin {
            // Opened by the action: one description for all sandboxes would let them lock it, and so speak to each other.
            Stdin::Null => None,
            Stdin::Bytes(bytes) => Some(feed(bytes.clone())?),
            Stdin::Descriptor(fd) => Some(readable(fd)?),
        };
        let script = script.map(&mut feed).transpose()?;
        let mut reads = [None, None];
        let output = |given: &Option<OwnedFd>, slot: &mut Option<OwnedFd>| -> Result<OwnedFd, Error> {
            if let Some(fd) = given {
                return fd.try_clone().map_err(system);
            }
            let (read, write) = pipe()?;
            nonblocking(&read).map_err(system)?;
            *slot = Some(read);
            Ok(write)
        };
        let stdout = output(&action.stdout, &mut reads[0])?;
        let stderr = if action.merged {
            stdout.try_clone().map_err(system)?
        } else {
            output(&action.stderr, &mut reads[1])?
        };
        let streams = (stdin.as_ref().map(AsFd::as_fd), [stdout.as_fd(), stderr.as_fd()]);
        let script = script.as_ref().map(AsFd::as_fd);
        sandbox.control.start(message, doors, streams, script)?;
        Ok(Streams::of(feeds, reads, sandbox))
    }

    fn of(feeds: Vec<Feed>, reads: [Option<OwnedFd>; 2], sandbox: &Sandbox) -> Streams {
        let limit = sandbox.policy.limits.output.0;
        Streams { feeds, reads, outputs: [Output::with_limit(limit), Output::with_limit(limit)], panic: None }
    }

    /// Moves bytes until the action has ended and all it wrote was read.
    fn serve(
        &mut self,
        sandbox: &Sandbox,
        action: &Action,
        started: Instant,
        seen: Seen<'_>,
    ) -> Result<End, Error> {
        let limits = &sandbox.policy.limits;
        let time = action.time.map_or(limits.time, |t| t.min(limits.time)).min(LONGEST);
        let most = (limits.output.0.saturating_mul(OUTPUT_FACTOR)).max(OUTPUT_FLOOR);
        let mut deadline = started + time;
        let (mut done, mut stop, mut over) = (None, None, None);
        let has_paused = sandbox.ended.is_some_and(|ended| started.saturating_duration_since(ended) > SHORT);
        let mut is_quiet = has_paused && self.feeds.is_empty();
        while done.is_none() || self.reads.iter().any(Option::is_some) {
            let now = Instant::now();
            let cancel = action.cancel.as_ref().filter(|_| stop.is_none() && done.is_none());
            let is_cancelled = cancel.is_some_and(Cancel::is_cancelled);
            if now >= deadline || is_cancelled {
                if done.is_some() || over.is_some_and(|over| now >= over) {
                    // Nothing can hold our pipes open but a process that the kernel did not kill.
                    sandbox.init.kill();
                    return Err(Error::Gone("a process did not die".into()));
                }
                if stop.is_none() {
                    stop = Some(if is_cancelled { Stop::Cancelled } else { Stop::Time });
                    sandbox.init.end_action(false);
                    deadline = now + GRACE;
                } else {
                    sandbox.init.end_action(true);
                    over.get_or_insert(now + PATIENCE);
                    deadline = now + AGAIN;
                }
                continue;
            }
            let (mut sources, mut time) =
                (Sources { end: done.is_none(), streams: true, cancel }, deadline - now);
            time = time.min(cancel.map_or(Duration::MAX, Cancel::turn));
            if std::mem::take(&mut is_quiet) {
                (sources.streams, time) = (false, time.min(SHORT));
            }
            if self.turn(sandbox, sources, time, seen)? {
                match sandbox.control.done()? {
                    Some(d) => done = Some(d),
                    None => return Err(gone(sandbox)),
                }
                self.feeds.clear();
                deadline = Instant::now() + PATIENCE;
            }
            let is_unwanted = self.panic.is_some() || self.outputs.iter().any(|o| o.total() > most);
            if stop.is_none() && is_unwanted {
                stop = Some(Stop::Output);
                if done.is_none() {
                    sandbox.init.end_action(true);
                    let now = Instant::now();
                    (over, deadline) = (Some(now + PATIENCE), now + AGAIN);
                }
            }
        }
        let done = done.ok_or_else(|| Error::Gone("no end was reported".into()))?;
        if stop.is_some() {
            sandbox.control.forget()?;
        }
        Ok(End { done, stop })
    }

    /// Waits for something to do and does it; true when process 1 has spoken.
    fn turn(
        &mut self,
        sandbox: &Sandbox,
        wait_for: Sources<'_>,
        time: Duration,
        seen: Seen<'_>,
    ) -> Result<bool, Error> {
        let [one, two] = &self.reads;
        let mut fds = Vec::with_capacity(6);
        if wait_for.end {
            fds.push(PollFd::from_borrowed_fd(sandbox.control.fd(), PollFlags::IN));
        }
        if wait_for.streams {
            fds.extend([one, two].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let feeds = self.feeds.iter().filter_map(|f| f.pipe.as_ref());
            fds.extend(feeds.map(|fd| PollFd::new(fd, PollFlags::OUT)));
        }
        fds.extend(wait_for.cancel.map(|cancel| PollFd::from_borrowed_fd(cancel.fd(), PollFlags::IN)));
        let wait = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) };
        match poll(&mut fds, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::system("waiting for the action", e)),
        }
        let spoke = wait_for.end && fds.first().is_some_and(|f| !f.revents().is_empty());
        drop(fds);
        self.feeds.iter_mut().for_each(Feed::write);
        let streams = [Stream::Stdout, Stream::Stderr];
        for ((slot, output), stream) in self.reads.iter_mut().zip(&mut self.outputs).zip(streams) {
            let is_read = read_all(slot, |bytes| {
                output.push(bytes);
                if self.panic.is_some() {
                    return ControlFlow::Break(());
                }
                catch_unwind(AssertUnwindSafe(|| seen(stream, bytes))).unwrap_or_else(|panic| {
                    self.panic = Some(panic);
                    ControlFlow::Break(())
                })
            });
            if is_read.is_break() {
                *slot = None;
            }
        }
        Ok(spoke)
    }
}

/// Reads what is there, without waiting; closes at the end.
fn read_all(slot: &mut Option<OwnedFd>, mut take: impl FnMut(&[u8]) -> ControlFlow<()>) -> ControlFlow<()> {
    /// Most reads in one turn, so that a flood cannot keep the clock from being looked at.
    const READS: usize = 16;
    // Not filled: each action reads twice at least, and mostly a few bytes.
    let mut buffer = [const { MaybeUninit::uninit() }; 64 << 10];
    for _ in 0..READS {
        let Some(fd) = slot.as_ref() else { break };
        match rustix::io::read(fd, &mut buffer) {
            Ok(([], _)) => *slot = None,
            Ok((read, _)) => take(read)?,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => break,
            Err(_) => *slot = None,
        }
    }
    ControlFlow::Continue(())
}

/// For a fresh pipe, which has no other flags.
fn nonblocking(pipe: &OwnedFd) -> std::io::Result<()> {
    Ok(fcntl_setfl(pipe, OFlags::NONBLOCK)?)
}

fn gone(sandbox: &Sandbox) -> Error {
    let oom = sandbox.group().is_some_and(|group| group.counts().0 > sandbox.counts.0);
    Error::Gone(if oom { "out of memory killed process 1" } else { "process 1 ended" }.into())
}

fn observe(
    sandbox: &mut Sandbox,
    streams: Streams,
    end: &End,
    (wall, cpu): (Duration, Duration),
) -> Observation {
    let [stdout, stderr] = streams.outputs;
    let fired = sandbox.fired();
    let mut limits_hit = Vec::new();
    let mut hit = |fired: bool, name: &str| {
        if fired {
            limits_hit.push(name.to_string());
        }
    };
    hit(end.stop == Some(Stop::Time), "time");
    hit(fired.memory, "memory");
    hit(fired.processes, "processes");
    hit(stdout.omitted() + stderr.omitted() > 0, "output");
    let status = end.done.status;
    let (signal, code) = (status & 0x7f, (status >> 8) & 0xff);
    // No file may be larger than the workspace.
    let is_too_large = signal == SIGXFSZ || code == 128 + SIGXFSZ;
    hit(fired.workspace || is_too_large, "workspace");
    let (mut outcome, mut exit_code) =
        if signal == 0 { (Outcome::Exited, code as i32) } else { (Outcome::Signaled, 128 + signal as i32) };
    if end.done.errno != 0 {
        exit_code = if is_absent(end.done.errno) { 127 } else { 126 };
    } else if end.stop == Some(Stop::Time) {
        (outcome, exit_code) = (Outcome::TimedOut, 124);
    } else if end.stop == Some(Stop::Output) {
        (outcome, exit_code) = (Outcome::OutputLimit, 137);
    } else if end.stop == Some(Stop::Cancelled) {
        (outcome, exit_code) = (Outcome::Cancelled, 143);
    } else if fired.memory {
        outcome = Outcome::OutOfMemory;
    }
    Observation {
        outcome,
        exit_code,
        stdout,
        stderr,
        wall,
        cpu,
        max_rss_bytes: end.done.max_rss_bytes,
        limits_hit,
        denied: Vec::new(),
        enforced: sandbox.plan.enforced.clone(),
        missing: sandbox.plan.missing.clone(),
        killed: end.done.left_over,
    }
}

/// Whether a program that could not be started is not there.
fn is_absent(errno: u32) -> bool {
    const ENOENT: u32 = 2;
    const ENOTDIR: u32 = 20;
    matches!(errno, ENOENT | ENOTDIR)
}

/// The shell's words for a program that could not be started.
fn exec_failure(action: &Action, errno: u32) -> String {
    let name = action.program_name().to_string_lossy();
    let reason = std::io::Error::from_raw_os_error((errno & !NO_CWD) as i32);
    if errno & NO_CWD != 0 {
        format!("sbx: cannot enter the directory: {reason}\n")
    } else if is_absent(errno) {
        format!("sbx: {name}: command not found\n")
    } else {
        format!("sbx: {name}: {reason}\n")
    }
}
