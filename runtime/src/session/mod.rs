//! A persistent bash on a terminal of its own: variables, directory, functions and background jobs stay.

mod bash;
mod files;
mod terminal;

pub use files::FileError;

use crate::sandbox::Sandbox;
use crate::{Changes, Error, LONGEST, Observation, Outcome, Output, Policy, Workspace};
use bash::{Bash, Heard, Until};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

/// Time for bash to start, and for a script to end after Ctrl-C.
const START: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(2);
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

/// A persistent bash in a sandbox, on a terminal of 24 lines and 80 columns that does not echo.
///
/// Stdout and stderr are one stream, the terminal's. Everything that it started ends with it.
///
/// ```no_run
/// let mut session = sbx_runtime::Session::open(&sbx_runtime::Policy::preset("whitelist")?, "checkout")?;
/// session.run("cd src; n=1")?;
/// assert_eq!(session.run("echo $n")?.stdout.text(), "1\n");
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Session {
    sandbox: Sandbox,
    bash: Option<Bash>,
    env: Vec<(String, String)>,
    /// Bytes kept of the script that runs now, and when it began.
    output: Output,
    started: Instant,
    restarts: u64,
}

/// What a wait for a running script found.
#[derive(Debug)]
pub enum Waited {
    /// It has ended, or was ended.
    Ended(Box<Observation>),
    /// It still runs: the time is over, or nothing was written for as long as was asked. What was written is in
    /// [`Session::so_far`].
    Running,
}

impl Session {
    /// Builds the policy's walls around a workspace and starts bash in them.
    ///
    /// # Errors
    /// As [`Sandbox::open`], or bash does not start.
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Session, Error> {
        Session::with_env(policy, workspace, &[])
    }

    /// Like [`Session::open`], with further variables in bash's environment.
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
        let mut session = Session { sandbox, bash: None, env, output, started: Instant::now(), restarts: 0 };
        session.bash()?;
        Ok(session)
    }

    /// The running bash; a new one when the last has ended.
    fn bash(&mut self) -> Result<&mut Bash, Error> {
        if self.bash.is_none() {
            let env: Vec<(&str, &str)> = self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let mut bash = Bash::start(&mut self.sandbox, &env)?;
            let until = Until { deadline: Instant::now() + START, quiet: None, most: u64::MAX };
            let heard = bash.wait(&self.sandbox, until, &mut |_| {});
            if !matches!(heard, Ok(Heard::Ended)) {
                // It is nobody's now, and must not hold the sandbox.
                self.sandbox.kill_all()?;
                return Err(Error::Gone(format!("bash did not start: {:?}", heard?)));
            }
            self.bash = Some(bash);
        }
        self.bash.as_mut().ok_or_else(|| Error::Gone("bash did not start".into()))
    }

    /// Runs a script to its end, for as long as the policy's limit says.
    ///
    /// A script that is not done by then gets Ctrl-C; the session stays as it is. One that does not heed it is killed with
    /// its bash, and the next script gets a new one: see [`Session::restarts`].
    ///
    /// # Errors
    /// Something runs already, the script holds a NUL, or the sandbox is gone. What the script does wrong is an
    /// [`Outcome`].
    pub fn run(&mut self, script: impl AsRef<OsStr>) -> Result<Observation, Error> {
        let time = self.sandbox.policy().limits.time;
        self.run_for(script, time)
    }

    /// Like [`Session::run`], for a shorter time.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_for(&mut self, script: impl AsRef<OsStr>, time: Duration) -> Result<Observation, Error> {
        self.start(script)?;
        let time = time.min(self.sandbox.policy().limits.time);
        match self.wait(time, None)? {
            Waited::Ended(seen) => Ok(*seen),
            Waited::Running => self.end(Outcome::TimedOut),
        }
    }

    /// Starts a script and does not wait for it. One that writes more than a terminal holds, some kilobytes, stands still until
    /// somebody waits.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn start(&mut self, script: impl AsRef<OsStr>) -> Result<(), Error> {
        let script = script.as_ref().as_bytes();
        if script.contains(&0) {
            return Err(Error::Session("expected a script without NUL bytes".into()));
        }
        if self.is_busy() {
            return Err(Error::Session("a script is still running: wait for it, or interrupt it".into()));
        }
        self.sandbox.check_ours()?;
        let limits = self.sandbox.policy().limits.clone();
        self.sandbox.allow_memory()?;
        self.bash()?.run(script);
        (self.output, self.started) = (Output::with_limit(limits.output.0), Instant::now());
        Ok(())
    }

    /// Waits for the script that runs, at most for `time`, and with `quiet` no longer than it writes nothing for that
    /// time. The policy's own limit is counted from its start: then it is ended.
    ///
    /// # Errors
    /// Nothing runs, or the sandbox is gone.
    pub fn wait(&mut self, time: Duration, quiet: Option<Duration>) -> Result<Waited, Error> {
        let limits = self.sandbox.policy().limits.clone();
        let most = limits.output.0.saturating_mul(OUTPUT_FACTOR).max(OUTPUT_FLOOR);
        let over = self.started + limits.time.min(LONGEST);
        let deadline = (Instant::now() + time.min(LONGEST)).min(over);
        let quiet = quiet.map(|quiet| quiet.min(LONGEST));
        let heard = self.hear(Until { deadline, quiet, most: most.saturating_sub(self.output.total()) })?;
        match heard {
            Heard::Ended => self.ended().map(|seen| Waited::Ended(Box::new(seen))),
            Heard::Gone(status) => Ok(Waited::Ended(Box::new(self.gone(status)))),
            Heard::TooMuch => self.end(Outcome::OutputLimit).map(|seen| Waited::Ended(Box::new(seen))),
            Heard::Late if Instant::now() >= over => {
                self.end(Outcome::TimedOut).map(|seen| Waited::Ended(Box::new(seen)))
            }
            Heard::Late | Heard::Quiet => Ok(Waited::Running),
        }
    }

    fn hear(&mut self, until: Until) -> Result<Heard, Error> {
        let Session { bash, sandbox, output, .. } = self;
        sandbox.check_ours()?;
        let Some(bash) = bash.as_mut().filter(|b| b.busy) else {
            return Err(Error::Session("nothing runs".into()));
        };
        bash.wait(sandbox, until, &mut |bytes| output.push(bytes))
    }

    /// Ends the script that runs: Ctrl-C, then Ctrl-\, then bash itself.
    fn end(&mut self, outcome: Outcome) -> Result<Observation, Error> {
        for sign in [super::session::terminal::Terminal::interrupt, super::session::terminal::Terminal::quit]
        {
            if let Some(bash) = &self.bash {
                // A terminal that does not take it any more is no reason not to go on to the next.
                let _ = sign(&bash.terminal);
            }
            match self.hear(Until { deadline: Instant::now() + GRACE, quiet: None, most: u64::MAX })? {
                Heard::Ended => {
                    let mut seen = self.ended()?;
                    seen.exit_code = if outcome == Outcome::TimedOut { 124 } else { 137 };
                    return Ok(mark(seen, outcome));
                }
                Heard::Gone(status) => {
                    let seen = self.gone(status);
                    return Ok(mark(seen, outcome));
                }
                _ => {}
            }
        }
        self.kill()?;
        let mut seen = self.observe(Outcome::Exited, if outcome == Outcome::TimedOut { 124 } else { 137 });
        seen.stdout.push(b"\n[the shell did not end it and was started again]\n");
        Ok(mark(seen, outcome))
    }

    /// Kills bash and all that it started.
    fn kill(&mut self) -> Result<(), Error> {
        if self.bash.take().is_some() {
            self.restarts += 1;
            self.sandbox.kill_all()?;
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<Observation, Error> {
        let status = self.bash.as_ref().map_or(0, |b| b.status);
        Ok(self
            .observe(if status > 128 && status <= 192 { Outcome::Signaled } else { Outcome::Exited }, status))
    }

    /// Bash has ended by itself: `exit`, or the memory limit.
    fn gone(&mut self, status: u32) -> Observation {
        self.bash = None;
        self.restarts += 1;
        let (signal, code) = (status & 0x7f, (status >> 8) & 0xff);
        if signal == 0 {
            self.observe(Outcome::Exited, code as i32)
        } else {
            self.observe(Outcome::Signaled, 128 + signal as i32)
        }
    }

    fn observe(&mut self, outcome: Outcome, exit_code: i32) -> Observation {
        let fired = self.sandbox.fired();
        let stdout = std::mem::take(&mut self.output);
        let mut limits_hit: Vec<String> = fired.names().map(str::to_string).collect();
        if stdout.omitted() > 0 {
            limits_hit.push("output".into());
        }
        let out_of_memory = fired.memory && outcome == Outcome::Signaled;
        Observation {
            outcome: if out_of_memory { Outcome::OutOfMemory } else { outcome },
            exit_code,
            stdout,
            wall: self.started.elapsed(),
            limits_hit,
            ..self.observe_nothing()
        }
    }

    /// An observation of nothing that ran: for callers who answer in a session's place.
    pub fn observe_nothing(&self) -> Observation {
        let plan = self.sandbox.plan();
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
            enforced: plan.enforced.clone(),
            missing: plan.missing.clone(),
            killed: 0,
        }
    }

    /// Types something for what runs to read; a line ends with `\n`, Ctrl-D is `\u{4}`.
    ///
    /// # Errors
    /// Nothing runs, or the terminal cannot be written.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        let bash = self.running()?;
        bash.terminal.write(bytes.as_ref()).map(drop).map_err(|e| Error::system("writing to the terminal", e))
    }

    /// Ctrl-C: SIGINT for what runs in the foreground.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn interrupt(&mut self) -> Result<(), Error> {
        let bash = self.running()?;
        bash.terminal.interrupt().map_err(|e| Error::system("writing to the terminal", e))
    }

    fn running(&self) -> Result<&Bash, Error> {
        let nothing = || Error::Session("nothing runs".into());
        self.sandbox.check_ours()?;
        self.bash.as_ref().filter(|b| b.busy).ok_or_else(nothing)
    }

    /// Whether a script runs.
    pub fn is_busy(&self) -> bool {
        self.bash.as_ref().is_some_and(|b| b.busy)
    }

    /// What the script that runs has written so far.
    pub fn so_far(&self) -> &Output {
        &self.output
    }

    /// Takes what the script that runs has written so far: it will not be in what comes later.
    pub fn take_so_far(&mut self) -> Output {
        let limit = self.sandbox.policy().limits.output.0;
        std::mem::replace(&mut self.output, Output::with_limit(limit))
    }

    /// Bash's directory after the last script.
    pub fn cwd(&self) -> OsString {
        self.bash.as_ref().map_or_else(OsString::new, |b| OsString::from_vec(b.cwd.clone()))
    }

    /// How often bash was started anew: after `exit`, or when a script could not be interrupted. Variables, directory and
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

    /// The sandbox around bash.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

fn mark(mut seen: Observation, outcome: Outcome) -> Observation {
    let limit = if outcome == Outcome::TimedOut { "time" } else { "output" };
    seen.outcome = outcome;
    seen.limits_hit.retain(|l| l != limit);
    seen.limits_hit.insert(0, limit.into());
    seen
}

#[cfg(test)]
mod tests;
