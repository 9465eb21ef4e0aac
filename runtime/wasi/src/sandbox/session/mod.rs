//! A persistent shell without processes: variables, directory, functions and background jobs stay, as in
//! [`sbx_runtime::Session`], with the same surface.

mod files;
mod live;
#[cfg(test)]
mod tests;

use super::Sandbox;
use live::{Heard, Live, Until};
use sbx_runtime::{Changes, Error, LONGEST, Observation, Outcome, Output, Policy, Waited, Workspace};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

/// Time for a script to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(4);
/// A script that writes this many times its kept output is interrupted.
const OUTPUT_FACTOR: u64 = 256;
/// …but never below this many bytes.
const OUTPUT_FLOOR: u64 = 64 << 20;
/// A terminal invites programs to page and to paint; nobody is there to turn the page.
const ENV: [(&str, &str); 5] = [
    ("TERM", "dumb"),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("MANPAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
];
const TIMED_OUT: i32 = 124;
const KILLED: i32 = 137;

/// A persistent shell in a sandbox without processes, on a terminal that does not echo.
///
/// Stdout and stderr are one stream, the terminal's. Everything that it started ends with it.
///
/// ```no_run
/// let mut session = sbx_wasi::Session::open(&sbx_runtime::Policy::preset("paranoid")?, "checkout")?;
/// session.run("cd src; n=1")?;
/// assert_eq!(session.run("echo $n")?.stdout.text(), "1\n");
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
pub struct Session {
    sandbox: Sandbox,
    live: Option<Live>,
    env: Vec<(String, String)>,
    /// Bytes kept of the script that runs now, and when it began.
    output: Output,
    started: Instant,
    restarts: u64,
}

impl Session {
    /// Opens a workspace under a policy, and starts a shell in it.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Session, Error> {
        Session::with_env(policy, workspace, &[])
    }

    /// Like [`Session::open`], with further variables in the shell's environment.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn with_env(
        policy: &Policy,
        workspace: impl Into<Workspace>,
        env: &[(&str, &str)],
    ) -> Result<Session, Error> {
        let sandbox = Sandbox::open(policy, workspace)?;
        let env = ENV.iter().chain(env).map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let output = Output::default();
        let mut session = Session { sandbox, live: None, env, output, started: Instant::now(), restarts: 0 };
        session.live()?;
        Ok(session)
    }

    /// The shell; a new one when the last has ended.
    fn live(&mut self) -> Result<&mut Live, Error> {
        if self.live.is_none() {
            self.live = Some(Live::start(&self.sandbox, &self.env)?);
        }
        self.live.as_mut().ok_or_else(|| Error::Gone("the shell did not start".into()))
    }

    /// Runs a script to its end, for as long as the policy's limit says.
    ///
    /// A script that is not done by then gets Ctrl-C; the session stays as it is. One that does not heed it is ended with its
    /// shell, and the next script gets a new one: see [`Session::restarts`].
    ///
    /// # Errors
    /// Something runs already, the script holds a NUL, or the sandbox is gone. What the script does wrong is an [`Outcome`].
    pub fn run(&mut self, script: impl AsRef<OsStr>) -> Result<Observation, Error> {
        let time = self.sandbox.policy.limits.time;
        self.run_for(script, time)
    }

    /// Like [`Session::run`], for a shorter time.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_for(&mut self, script: impl AsRef<OsStr>, time: Duration) -> Result<Observation, Error> {
        self.start(script)?;
        let time = time.min(self.sandbox.policy.limits.time);
        match self.wait(time, None)? {
            Waited::Ended(seen) => Ok(*seen),
            Waited::Running => self.end(Outcome::TimedOut),
        }
    }

    /// Starts a script and does not wait for it.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn start(&mut self, script: impl AsRef<OsStr>) -> Result<(), Error> {
        let script = script.as_ref().as_bytes().to_vec();
        if script.contains(&0) {
            return Err(Error::Session("expected a script without NUL bytes".into()));
        }
        let limit = self.sandbox.policy.limits.output.0;
        self.live()?;
        if let Some(live) = &mut self.live {
            live.run(&self.sandbox, script)?;
        }
        (self.output, self.started) = (Output::with_limit(limit), Instant::now());
        Ok(())
    }

    /// Waits for the script that runs, at most for `time`, and with `quiet` no longer than it writes nothing for that time.
    /// The policy's own limit is counted from its start: then it is ended.
    ///
    /// # Errors
    /// Nothing runs, or the sandbox is gone.
    pub fn wait(&mut self, time: Duration, quiet: Option<Duration>) -> Result<Waited, Error> {
        let limits = &self.sandbox.policy.limits;
        let most = limits.output.0.saturating_mul(OUTPUT_FACTOR).max(OUTPUT_FLOOR);
        let over = self.started + limits.time.min(LONGEST);
        let deadline = (Instant::now() + time.min(LONGEST)).min(over);
        let quiet = quiet.map(|quiet| quiet.min(LONGEST));
        let heard = self.hear(Until { deadline, quiet, most: most.saturating_sub(self.output.total()) })?;
        let seen = match heard {
            Heard::Done => self.done(),
            Heard::Gone(ended) => self.gone(ended)?,
            Heard::TooMuch => self.end(Outcome::OutputLimit)?,
            Heard::Late if Instant::now() >= over => self.end(Outcome::TimedOut)?,
            Heard::Late | Heard::Quiet => return Ok(Waited::Running),
        };
        Ok(Waited::Ended(Box::new(seen)))
    }

    fn hear(&mut self, until: Until) -> Result<Heard, Error> {
        let Session { live, output, .. } = self;
        let Some(live) = live.as_mut() else { return Err(Error::Session("nothing runs".into())) };
        live.wait(until, &mut |bytes| output.push(bytes))
    }

    /// Ends the script that runs: Ctrl-C, then the shell itself.
    fn end(&mut self, outcome: Outcome) -> Result<Observation, Error> {
        if let Some(live) = &self.live {
            live.interrupt();
        }
        let until = Until { deadline: Instant::now() + GRACE, quiet: None, most: u64::MAX };
        let mut seen = match self.hear(until)? {
            Heard::Done => self.done(),
            Heard::Gone(ended) => self.gone(ended)?,
            _ => {
                self.restart()?;
                let mut seen = self.observe(Outcome::Exited, KILLED);
                seen.stdout.push(b"\n[the shell did not end it and was started again]\n");
                seen
            }
        };
        let (code, limit) =
            if outcome == Outcome::TimedOut { (TIMED_OUT, "time") } else { (KILLED, "output") };
        (seen.outcome, seen.exit_code) = (outcome, code);
        seen.limits_hit.retain(|l| l != limit);
        seen.limits_hit.insert(0, limit.into());
        Ok(seen)
    }

    /// Ends the shell and all that it started.
    fn restart(&mut self) -> Result<(), Error> {
        let Some(live) = self.live.take() else { return Ok(()) };
        self.restarts += 1;
        match live.end(&self.sandbox) {
            true => Ok(()),
            false => Err(Error::Gone("what the session started did not end".into())),
        }
    }

    fn done(&mut self) -> Observation {
        let status = self.live.as_ref().map_or(0, |live| live.status);
        let outcome = if status > 128 && status <= 192 { Outcome::Signaled } else { Outcome::Exited };
        self.observe(outcome, status)
    }

    /// The shell has ended by itself: `exit`, a signal, or the memory limit.
    fn gone(&mut self, ended: crate::shell::Ended) -> Result<Observation, Error> {
        let outcome = if ended.signal.is_some() { Outcome::Signaled } else { Outcome::Exited };
        let seen = self.observe(outcome, ended.status);
        self.restart()?;
        Ok(seen)
    }

    fn observe(&mut self, outcome: Outcome, exit_code: i32) -> Observation {
        let (memory, processes) = self.live.as_ref().map_or((false, false), Live::take_fired);
        let stdout = std::mem::take(&mut self.output);
        let fired = [
            (memory, "memory"),
            (processes, "processes"),
            (self.sandbox.tree.is_full(), "workspace"),
            (stdout.omitted() > 0, "output"),
        ];
        let out_of_memory = memory && outcome == Outcome::Signaled;
        Observation {
            outcome: if out_of_memory { Outcome::OutOfMemory } else { outcome },
            exit_code,
            stdout,
            wall: self.started.elapsed(),
            limits_hit: fired.iter().filter(|(hit, _)| *hit).map(|(_, name)| name.to_string()).collect(),
            ..self.observe_nothing()
        }
    }

    /// An observation of nothing that ran: for callers who answer in a session's place.
    pub fn observe_nothing(&self) -> Observation {
        Observation {
            outcome: Outcome::Exited,
            exit_code: 0,
            stdout: Output::default(),
            stderr: Output::default(),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            max_rss_bytes: 0,
            limits_hit: Vec::new(),
            denied: Vec::new(),
            enforced: self.sandbox.enforced(),
            missing: Vec::new(),
            killed: 0,
        }
    }

    /// Types something for what runs to read; a line ends with `\n`, Ctrl-D is `\u{4}`.
    ///
    /// # Errors
    /// Nothing runs.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        self.running()?.type_in(bytes.as_ref());
        Ok(())
    }

    /// Ctrl-C for what runs in the foreground.
    ///
    /// # Errors
    /// Nothing runs.
    pub fn interrupt(&mut self) -> Result<(), Error> {
        self.running()?.interrupt();
        Ok(())
    }

    fn running(&self) -> Result<&Live, Error> {
        let nothing = || Error::Session("nothing runs".into());
        self.live.as_ref().filter(|live| live.is_busy()).ok_or_else(nothing)
    }

    /// Whether a script runs.
    pub fn is_busy(&self) -> bool {
        self.live.as_ref().is_some_and(Live::is_busy)
    }

    /// What the script that runs has written so far.
    pub fn so_far(&self) -> &Output {
        &self.output
    }

    /// Takes what the script that runs has written so far: it will not be in what comes later.
    pub fn take_so_far(&mut self) -> Output {
        let limit = self.sandbox.policy.limits.output.0;
        std::mem::replace(&mut self.output, Output::with_limit(limit))
    }

    /// The shell's directory after the last script.
    pub fn cwd(&self) -> OsString {
        self.live.as_ref().map_or_else(OsString::new, |live| OsString::from_vec(live.cwd.clone()))
    }

    /// How often the shell was started anew: after `exit`, or when a script could not be interrupted. Variables, directory and
    /// background jobs were lost then; files were not.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// What the scripts changed so far.
    ///
    /// # Errors
    /// As [`Sandbox::changes`].
    pub fn changes(&self) -> Result<Changes, Error> {
        self.sandbox.changes()
    }

    /// The sandbox around the shell.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            live.end(&self.sandbox);
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}
