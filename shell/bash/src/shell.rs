//! A sandbox with a policy's manners around it.

use crate::judge::{Verdict, judge, judge_calls, not_allowed, outside};
use crate::script::Call;
use crate::wasi;
use sbx_runtime::{
    Action, Backend, Changes, Denied, Error, Observation, Outcome, Output, Policy, Sandbox, Stream, Timings,
    Workspace,
};
use std::ops::ControlFlow;
use std::time::Duration;

/// A sandbox that runs bash scripts, one after the other, each a process of its own: files stay, variables do not.
///
/// ```no_run
/// let mut shell = sbx_bash::Shell::open(&sbx_runtime::Policy::preset("whitelist")?, "checkout")?;
/// let seen = shell.run("grep -rn TODO . | wc -l")?;
/// print!("{}", seen.stdout.text());
/// print!("{}", shell.changes()?.diff_text());
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Shell {
    within: Within,
}

/// What confines the actions, as the policy's `backend` says.
#[derive(Debug)]
enum Within {
    Native(Box<Sandbox>),
    Wasi(Box<wasi::Sandbox>),
}

impl Shell {
    /// Builds the walls of the policy and its backend around a workspace, which itself is never written.
    ///
    /// # Errors
    /// As [`Sandbox::open`]; for `backend = "wasi"` the policy may ask for what that does not have, or this build may be
    /// without it.
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Shell, Error> {
        let within = match policy.backend {
            Backend::Native => Within::Native(Box::new(Sandbox::open(policy, workspace)?)),
            Backend::Wasi => Within::Wasi(Box::new(wasi::Sandbox::open(policy, workspace)?)),
        };
        Ok(Shell { within })
    }

    /// Puts a policy's manners around a sandbox that stands.
    pub fn around(sandbox: Sandbox) -> Shell {
        Shell { within: Within::Native(Box::new(sandbox)) }
    }

    /// Ends as [`Sandbox::leave`] does.
    pub fn leave(self) {
        if let Within::Native(sandbox) = self.within {
            sandbox.leave();
        }
    }

    /// Runs a bash script in the workspace.
    ///
    /// # Errors
    /// Only when *we* fail; what the script does wrong is an [`Outcome`].
    pub fn run(&mut self, script: &str) -> Result<Observation, Error> {
        self.act(&Action::bash(script))
    }

    /// Runs an action: first its manners, then the walls.
    ///
    /// # Errors
    /// As [`Shell::run`].
    pub fn act(&mut self, action: &Action) -> Result<Observation, Error> {
        self.act_with(action, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Runs an action and hands its output on as it comes. After a `Break` nobody reads the stream any more, and who writes
    /// to it is told so (with the native backend).
    ///
    /// # Errors
    /// As [`Shell::run`].
    pub fn act_with(
        &mut self,
        action: &Action,
        seen: &mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<Observation, Error> {
        let policy = self.policy();
        let script = action.script().map(|s| s.to_string_lossy().into_owned());
        let verdict = match &script {
            Some(script) => judge(policy, script),
            None => {
                let words = action.arguments().map(|w| Some(w.to_string_lossy().into_owned())).collect();
                judge_calls(policy, &[Call { words }])
            }
        };
        if let Verdict::Refused { rule, because, command } = verdict {
            let observation = refusal(self.enforced(), self.missing(), &rule, &because, &command);
            let _ = seen(Stream::Stderr, observation.stderr.text().as_bytes());
            return Ok(observation);
        }
        let mut observation = self.act_unjudged(action, seen)?;
        observation.denied = self.not_found(action, script.as_deref(), &observation);
        observation.denied.extend(of_another_group(&observation));
        Ok(observation)
    }

    /// As [`Shell::act_with`], without its manners.
    pub(crate) fn act_unjudged(
        &mut self,
        action: &Action,
        seen: &mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<Observation, Error> {
        match &mut self.within {
            Within::Native(sandbox) => sandbox.run_with(action, seen),
            Within::Wasi(sandbox) => sandbox.run_with(action, seen),
        }
    }

    /// What the actions changed so far.
    ///
    /// # Errors
    /// The overlay cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        match &self.within {
            Within::Native(sandbox) => sandbox.changes(),
            Within::Wasi(sandbox) => sandbox.changes(),
        }
    }

    /// The native sandbox itself, for programs without a shell; none with another backend.
    pub fn sandbox(&mut self) -> Option<&mut Sandbox> {
        match &mut self.within {
            Within::Native(sandbox) => Some(sandbox),
            Within::Wasi(_) => None,
        }
    }

    /// The policy that holds.
    pub fn policy(&self) -> &Policy {
        match &self.within {
            Within::Native(sandbox) => sandbox.policy(),
            Within::Wasi(sandbox) => sandbox.policy(),
        }
    }

    /// Walls that stand, by name.
    pub fn enforced(&self) -> Vec<String> {
        match &self.within {
            Within::Native(sandbox) => sandbox.plan().enforced.clone(),
            Within::Wasi(sandbox) => sandbox.enforced(),
        }
    }

    /// Walls that the policy asks for and that are missing.
    pub fn missing(&self) -> Vec<String> {
        match &self.within {
            Within::Native(sandbox) => sandbox.plan().missing.clone(),
            Within::Wasi(_) => Vec::new(),
        }
    }

    /// Where the time of [`Shell::open`] went.
    pub fn timings(&self) -> &Timings {
        match &self.within {
            Within::Native(sandbox) => sandbox.timings(),
            Within::Wasi(sandbox) => sandbox.timings(),
        }
    }

    /// Programs that the policy keeps out and that the action asked for, as its stderr shows.
    fn not_found(&self, action: &Action, script: Option<&str>, seen: &Observation) -> Vec<Denied> {
        const NOT_FOUND: i32 = 127;
        let policy = self.policy();
        let Some(script) = script else {
            let name = action.program_name().to_string_lossy().into_owned();
            let absent = seen.exit_code == NOT_FOUND && !policy.allows_command(&name);
            return if absent { vec![not_allowed(policy, &name)] } else { Vec::new() };
        };
        let stderr = seen.stderr.text();
        if seen.exit_code != NOT_FOUND && !stderr.contains("not found") && !stderr.contains("No such file") {
            return Vec::new();
        }
        let mut denied = outside(policy, script);
        // With its stderr redirected the status alone tells.
        denied.retain(|d| seen.exit_code == NOT_FOUND || stderr.contains(&d.what));
        denied
    }
}

/// What is to be said where the kernel does not change a file, because its owner or group does not exist in the sandbox.
fn of_another_group(seen: &Observation) -> Option<Denied> {
    const EOVERFLOW: &str = "Value too large for defined data type";
    seen.stderr.text().contains(EOVERFLOW).then(|| Denied {
        what: "files of another group".into(),
        rule: "identity".into(),
        hint: "in the sandbox only you and your primary group exist; `sg GROUP -c 'sbx exec …'` makes another group \
               the primary one, and `--backend wasi` needs none"
            .into(),
    })
}

/// What the agent reads of a refused script.
pub(crate) fn refusal(
    enforced: Vec<String>,
    missing: Vec<String>,
    rule: &str,
    because: &str,
    command: &str,
) -> Observation {
    const REFUSED: i32 = 126;
    Observation {
        outcome: Outcome::Refused,
        exit_code: REFUSED,
        stdout: Output::default(),
        stderr: Output::whole(format!("sbx: refused: {command}\n{because}\n")),
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        max_rss_bytes: 0,
        limits_hit: Vec::new(),
        denied: vec![Denied { what: command.into(), rule: format!("refuse: {rule}"), hint: because.into() }],
        enforced,
        missing,
        killed: 0,
    }
}
