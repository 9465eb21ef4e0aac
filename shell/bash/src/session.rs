//! A persistent bash with a policy's manners around it.

use crate::judge::{Verdict, judge, outside};
use crate::shell::refusal;
use crate::wasi;
use sbx_runtime::{
    Backend, Changes, Error, FileError, Observation, Output, Policy, Session, Waited, Workspace,
};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

const NOT_FOUND: i32 = 127;

/// A persistent bash, with a policy's manners around it: variables, directory and background jobs stay.
///
/// ```no_run
/// let policy = sbx_runtime::Policy::preset("whitelist")?;
/// let mut shell = sbx_bash::LiveShell::open(&policy, "checkout", &[])?;
/// shell.run("cd src")?;
/// print!("{}", shell.run("pwd; ls")?.stdout.text());
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct LiveShell {
    session: LiveSession,
}

/// Bash itself, as the policy's `backend` says, without the manners.
#[derive(Debug)]
pub struct LiveSession(Within);

#[derive(Debug)]
enum Within {
    Native(Box<Session>),
    Wasi(Box<wasi::Session>),
}

/// The same call to whichever it is.
macro_rules! either {
    ($session:expr, $name:ident($($argument:expr),*)) => {
        match $session {
            Within::Native(session) => session.$name($($argument),*),
            Within::Wasi(session) => session.$name($($argument),*),
        }
    };
}

impl LiveShell {
    /// Builds the policy's walls around a workspace, which itself is never written, and starts bash with `env` besides the
    /// policy's own variables.
    ///
    /// # Errors
    /// As [`Session::open`]; for `backend = "wasi"` as [`crate::Shell::open`].
    pub fn open(
        policy: &Policy,
        workspace: impl Into<Workspace>,
        env: &[(&str, &str)],
    ) -> Result<LiveShell, Error> {
        let within = match policy.backend {
            Backend::Native => Within::Native(Box::new(Session::with_env(policy, workspace, env)?)),
            Backend::Wasi => Within::Wasi(Box::new(wasi::Session::with_env(policy, workspace, env)?)),
        };
        Ok(LiveShell { session: LiveSession(within) })
    }

    /// Runs a script for as long as the policy allows.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run(&mut self, script: &str) -> Result<Observation, Error> {
        let time = self.session.policy().limits.time;
        self.run_for(script, time)
    }

    /// Like [`LiveShell::run`], for a shorter time.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_for(&mut self, script: &str, time: Duration) -> Result<Observation, Error> {
        if let Some(refused) = self.refuse(script) {
            return Ok(refused);
        }
        let seen = self.session.run_for(script, time)?;
        Ok(self.explain(script, seen))
    }

    /// The refusal of a script, if the policy's manners refuse it.
    pub fn refuse(&self, script: &str) -> Option<Observation> {
        match judge(self.session.policy(), script) {
            Verdict::Refused { rule, because, command } => {
                let (enforced, missing) = self.session.walls();
                Some(refusal(enforced, missing, &rule, &because, &command))
            }
            _ => None,
        }
    }

    /// Adds to an observation which programs of its script the policy keeps out.
    pub fn explain(&self, script: &str, mut seen: Observation) -> Observation {
        let text = seen.stdout.text();
        if seen.exit_code == NOT_FOUND || text.contains("not found") {
            seen.denied = outside(self.session.policy(), script);
            seen.denied.retain(|d| seen.exit_code == NOT_FOUND || text.contains(&d.what));
        }
        seen
    }

    /// Whether a script runs.
    pub fn is_busy(&self) -> bool {
        self.session.is_busy()
    }

    /// What the scripts changed so far.
    ///
    /// # Errors
    /// As [`Session::changes`].
    pub fn changes(&self) -> Result<Changes, Error> {
        either!(&self.session.0, changes())
    }

    /// Bash itself, for callers that type, interrupt and wait, or read and write files.
    pub fn session(&mut self) -> &mut LiveSession {
        &mut self.session
    }
}

impl LiveSession {
    /// Runs a script for a time, at most the policy's.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_for(&mut self, script: impl AsRef<OsStr>, time: Duration) -> Result<Observation, Error> {
        either!(&mut self.0, run_for(script, time))
    }

    /// Starts a script and does not wait for it.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start(&mut self, script: impl AsRef<OsStr>) -> Result<(), Error> {
        either!(&mut self.0, start(script))
    }

    /// Waits for the script that runs, at most for `time`, and with `quiet` no longer than it writes nothing for that time.
    ///
    /// # Errors
    /// As [`Session::wait`].
    pub fn wait(&mut self, time: Duration, quiet: Option<Duration>) -> Result<Waited, Error> {
        either!(&mut self.0, wait(time, quiet))
    }

    /// Types something for what runs to read; a line ends with `\n`, Ctrl-D is `\u{4}`.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        either!(&mut self.0, send(bytes))
    }

    /// Ctrl-C for what runs in the foreground.
    ///
    /// # Errors
    /// As [`Session::interrupt`].
    pub fn interrupt(&mut self) -> Result<(), Error> {
        either!(&mut self.0, interrupt())
    }

    /// Whether a script runs.
    pub fn is_busy(&self) -> bool {
        either!(&self.0, is_busy())
    }

    /// What the script that runs has written so far.
    pub fn so_far(&self) -> &Output {
        either!(&self.0, so_far())
    }

    /// Takes what the script that runs has written so far: it will not be in what comes later.
    pub fn take_so_far(&mut self) -> Output {
        either!(&mut self.0, take_so_far())
    }

    /// Bash's directory after the last script.
    pub fn cwd(&self) -> OsString {
        either!(&self.0, cwd())
    }

    /// How often bash was started anew; see [`Session::restarts`].
    pub fn restarts(&self) -> u64 {
        either!(&self.0, restarts())
    }

    /// An observation of nothing that ran: for callers who answer in a session's place.
    pub fn observe_nothing(&self) -> Observation {
        either!(&self.0, observe_nothing())
    }

    /// Reads a file of the sandbox, of at most `limit` bytes; a relative path begins at the workspace.
    ///
    /// # Errors
    /// As [`Session::read_file`].
    pub fn read_file(&mut self, path: impl AsRef<OsStr>, limit: usize) -> Result<Vec<u8>, FileError> {
        either!(&mut self.0, read_file(path, limit))
    }

    /// Writes a file of the sandbox, and the directories that lead to it; a relative path begins at the workspace.
    ///
    /// # Errors
    /// As [`Session::write_file`].
    pub fn write_file(&mut self, path: impl AsRef<OsStr>, bytes: &[u8]) -> Result<(), FileError> {
        either!(&mut self.0, write_file(path, bytes))
    }

    /// The policy that holds.
    pub fn policy(&self) -> &Policy {
        match &self.0 {
            Within::Native(session) => session.sandbox().policy(),
            Within::Wasi(session) => session.sandbox().policy(),
        }
    }

    /// Walls that stand, and walls that the policy asks for and that are missing, by name.
    pub fn walls(&self) -> (Vec<String>, Vec<String>) {
        match &self.0 {
            Within::Native(session) => {
                let plan = session.sandbox().plan();
                (plan.enforced.clone(), plan.missing.clone())
            }
            Within::Wasi(session) => (session.sandbox().enforced(), Vec::new()),
        }
    }
}
