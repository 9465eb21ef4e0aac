//! Runs one action: hands it to a thread of the sandbox, takes its output, ends it in time, and tells what happened.

use super::Sandbox;
use crate::engine::budget::{Budget, Stop};
use crate::engine::crew::Task;
use crate::fs::{Capture, Errno, Handle};
use crate::shell::{Ended, Setup, run_script, start};
use sbx_runtime::{Action, Cancel, Error, Observation, Outcome, Output, Stdin, Stream};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

/// Time in which everything ends after it was told to.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How often output is taken while an action runs.
pub(super) const TURN: Duration = Duration::from_millis(10);
/// An action that writes this many times its kept output is ended: nobody reads it, and it only burns the processor.
const OUTPUT_FACTOR: u64 = 1024;
/// …but never below this many bytes of one stream.
const OUTPUT_FLOOR: u64 = 64 << 20;
const TIMED_OUT: i32 = 124;
const CANNOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;
const KILLED: i32 = 137;
const CANCELLED: i32 = 143;

type Seen<'a> = &'a mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>;

pub(super) fn run(sandbox: &mut Sandbox, action: &Action, seen: Seen<'_>) -> Result<Observation, Error> {
    let started = Instant::now();
    let limits = &sandbox.policy.limits;
    let time = action.own_time().map_or(limits.time, |t| t.min(limits.time));
    let budget = Budget::new(time, limits.memory.0, limits.processes);
    let cpu_before = sandbox.crew.cpu();
    let mut streams = Streams::open(action, limits.output.0)?;
    let (ended, left_over) = match script(sandbox, action) {
        Err((text, status)) => {
            let _ = streams.stdio[2].write_all(text.as_bytes(), &budget);
            (Ended { status, signal: None }, 0)
        }
        Ok((script, cwd)) => {
            let task = begin(sandbox, action, &budget, &streams, script, cwd)?;
            let ended = streams.serve(action, &task, &budget, seen)?;
            let left_over = budget.jobs();
            budget.stop(Stop::Cancelled);
            if !sandbox.crew.settle(PATIENCE) {
                return Err(Error::Gone("a background job of an action did not end".into()));
            }
            (ended, left_over)
        }
    };
    streams.take(seen);
    let stopped = streams.stopped;
    let [stdout, stderr] = streams.outputs;
    let status = ended.status;
    let (outcome, exit_code) = match stopped {
        Some(Stop::Time) => (Outcome::TimedOut, TIMED_OUT),
        Some(Stop::Output) => (Outcome::OutputLimit, KILLED),
        Some(Stop::Cancelled) => (Outcome::Cancelled, CANCELLED),
        _ if budget.memory_fired() => (Outcome::OutOfMemory, status),
        _ if ended.signal.is_some() => (Outcome::Signaled, status),
        _ => (Outcome::Exited, status),
    };
    let fired = [
        (stopped == Some(Stop::Time), "time"),
        (budget.memory_fired(), "memory"),
        (stdout.omitted() + stderr.omitted() > 0, "output"),
        (budget.processes_fired(), "processes"),
        (sandbox.tree.is_full(), "workspace"),
    ];
    Ok(Observation {
        outcome,
        exit_code,
        stdout,
        stderr,
        wall: started.elapsed(),
        cpu: sandbox.crew.cpu().saturating_sub(cpu_before),
        max_rss_bytes: budget.peak(),
        limits_hit: fired.iter().filter(|(fired, _)| *fired).map(|(_, name)| name.to_string()).collect(),
        denied: Vec::new(),
        enforced: sandbox.enforced(),
        missing: Vec::new(),
        killed: left_over,
    })
}

/// The script to run and the directory to run it in; or what to say instead, and the status.
fn script(sandbox: &Sandbox, action: &Action) -> Result<(Vec<u8>, Vec<u8>), (String, i32)> {
    let at = sandbox.tree.workspace();
    let dir = action.directory().map_or(&b"."[..], |dir| dir.as_bytes());
    let dir = if dir.is_empty() { b"." } else { dir };
    let cwd = sandbox.tree.enter(at, dir).map_err(|e: Errno| {
        (format!("sbx: cannot enter the directory: {}\n", std::io::Error::from(e)), CANNOT_RUN)
    })?;
    if let Some(script) = action.script() {
        // Bash drops them when it reads a script.
        let script = script.as_bytes().iter().copied().filter(|b| *b != 0).collect();
        return Ok((script, cwd));
    }
    let name = action.program_name().to_string_lossy().into_owned();
    let base = name.strip_prefix("/usr/bin/").or_else(|| name.strip_prefix("/bin/")).unwrap_or(&name);
    if !sandbox.commands.is_visible(base) {
        let is_there = name.contains('/') && sandbox.tree.stat(&cwd, name.as_bytes(), true).is_ok();
        let (why, status) =
            if is_there { ("Permission denied", CANNOT_RUN) } else { ("command not found", NOT_FOUND) };
        return Err((format!("sbx: {name}: {why}\n"), status));
    }
    let quoted = |word: &std::ffi::OsStr| {
        let mut text = vec![b'\''];
        for byte in word.as_bytes() {
            match byte {
                b'\'' => text.extend_from_slice(b"'\\''"),
                byte => text.push(*byte),
            }
        }
        text.push(b'\'');
        text
    };
    let words: Vec<Vec<u8>> = action.arguments().map(quoted).collect();
    Ok((words.join(&b' '), cwd))
}

/// The variables that a shell begins with.
pub(super) fn environment(sandbox: &Sandbox, action: &Action) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all = action.environment(&sandbox.env).into_iter();
    all.map(|(key, value)| (key.into_vec(), value.into_vec())).collect()
}

fn begin(
    sandbox: &Sandbox,
    action: &Action,
    budget: &Budget,
    streams: &Streams,
    script: Vec<u8>,
    cwd: Vec<u8>,
) -> Result<Task<Ended>, Error> {
    let environment = environment(sandbox, action);
    let world = sandbox.world();
    let (budget, stdio) = (budget.clone(), streams.stdio.clone());
    let work = move || {
        let setup = Setup { world, budget, stdio, environment, cwd, umask: 0o22 };
        let mut shell = start(setup);
        run_script(&mut shell, &script)
    };
    let system = |reason| Error::System { what: "a thread for the action".into(), reason };
    sandbox.crew.start(work).map_err(system)
}

/// Where the action reads and writes, and what was taken of it.
struct Streams {
    stdio: [Handle; 3],
    captures: [Option<Capture>; 2],
    outputs: [Output; 2],
    /// Somebody wants to see more of them.
    are_read: [bool; 2],
    most: u64,
    stopped: Option<Stop>,
}

impl Streams {
    fn open(action: &Action, limit: u64) -> Result<Streams, Error> {
        let system = |reason| Error::System { what: "the action's descriptors".into(), reason };
        let stdin = match action.input() {
            Stdin::Null => Handle::null(),
            Stdin::Bytes(bytes) => Handle::bytes(bytes.clone()),
            Stdin::Descriptor(fd) => Handle::host(fd.try_clone().map_err(system)?),
        };
        let mut captures = [None, None];
        let (stdout, stderr) = match action.outputs() {
            Some((out, err)) => (
                Handle::host(out.try_clone().map_err(system)?),
                Handle::host(err.try_clone().map_err(system)?),
            ),
            None => {
                let (out, err) = (Capture::drained(), Capture::drained());
                let handles = (out.handle(), err.handle());
                captures = [Some(out), Some(err)];
                handles
            }
        };
        let stderr = if action.is_merged() { stdout.clone() } else { stderr };
        Ok(Streams {
            stdio: [stdin, stdout, stderr],
            captures,
            outputs: [Output::with_limit(limit), Output::with_limit(limit)],
            are_read: [true; 2],
            most: limit.saturating_mul(OUTPUT_FACTOR).max(OUTPUT_FLOOR),
            stopped: None,
        })
    }

    /// Takes what was written.
    fn take(&mut self, seen: Seen<'_>) {
        let streams = [Stream::Stdout, Stream::Stderr];
        let outputs = self.outputs.iter_mut().zip(&mut self.are_read);
        for ((capture, (output, is_read)), stream) in self.captures.iter().zip(outputs).zip(streams) {
            let bytes = capture.as_ref().map(Capture::take).unwrap_or_default();
            if !bytes.is_empty() {
                output.push(&bytes);
                if *is_read {
                    *is_read = seen(stream, &bytes).is_continue();
                }
            }
        }
    }

    /// Takes output until the action has ended; how it did.
    fn serve(
        &mut self,
        action: &Action,
        task: &Task<Ended>,
        budget: &Budget,
        seen: Seen<'_>,
    ) -> Result<Ended, Error> {
        let mut last_moment = None;
        loop {
            let ended = task.wait(TURN);
            self.take(seen);
            if let Ok(status) = ended {
                self.stopped = budget.stopped();
                return status.ok_or_else(|| Error::Gone("the interpreter failed".into()));
            }
            if self.outputs.iter().any(|output| output.total() > self.most) {
                budget.stop(Stop::Output);
            }
            if action.cancel().is_some_and(Cancel::is_cancelled) {
                budget.stop(Stop::Cancelled);
            }
            let stopped = budget.check().is_err();
            let end = last_moment.get_or_insert_with(|| Instant::now() + PATIENCE);
            if !stopped {
                last_moment = None;
            } else if Instant::now() > *end {
                return Err(Error::Gone("an action did not end when its time was over".into()));
            }
        }
    }
}
