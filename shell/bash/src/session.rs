//! A persistent bash with a policy's manners around it.

use crate::judge::{Verdict, judge, outside};
use crate::shell::refusal;
use sbx_runtime::{Backend, Changes, Error, Observation, Policy, Session, Workspace};
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
    session: Session,
}

impl LiveShell {
    /// Builds the policy's walls around a workspace, which itself is never written, and starts bash with `env` besides the
    /// policy's own variables.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open(
        policy: &Policy,
        workspace: impl Into<Workspace>,
        env: &[(&str, &str)],
    ) -> Result<LiveShell, Error> {
        if policy.backend != Backend::Native {
            let name = &policy.name;
            return Err(Error::Policy(format!(
                "{name}: backend: a persistent bash is a native process; use a harness that starts one for each action, or \
                 backend = \"native\""
            )));
        }
        Ok(LiveShell { session: Session::with_env(policy, workspace, env)? })
    }

    /// Runs a script for as long as the policy allows.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run(&mut self, script: &str) -> Result<Observation, Error> {
        let time = self.session.sandbox().policy().limits.time;
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
        match judge(self.session.sandbox().policy(), script) {
            Verdict::Refused { rule, because, command } => {
                let plan = self.session.sandbox().plan();
                Some(refusal(plan.enforced.clone(), plan.missing.clone(), &rule, &because, &command))
            }
            _ => None,
        }
    }

    /// Adds to an observation which programs of its script the policy keeps out.
    pub fn explain(&self, script: &str, mut seen: Observation) -> Observation {
        let text = seen.stdout.text();
        if seen.exit_code == NOT_FOUND || text.contains("not found") {
            seen.denied = outside(self.session.sandbox().policy(), script);
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
        self.session.changes()
    }

    /// Bash itself, for callers that type, interrupt and wait, or read and write files.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}
