//! A sandbox with a policy's manners around it.

use crate::judge::{Verdict, judge, judge_calls, not_allowed, outside};
use crate::script::Call;
use sbx_runtime::{
    Action, Changes, Denied, Error, Observation, Outcome, Output, Plan, Policy, Sandbox, Stream, Workspace,
};
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
    sandbox: Sandbox,
}

impl Shell {
    /// Builds the policy's walls around a workspace, which itself is never written.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Shell, Error> {
        Ok(Shell { sandbox: Sandbox::open(policy, workspace)? })
    }

    /// Puts a policy's manners around a sandbox that stands.
    pub fn around(sandbox: Sandbox) -> Shell {
        Shell { sandbox }
    }

    /// Ends as [`Sandbox::leave`] does.
    pub fn leave(self) {
        self.sandbox.leave();
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
        self.act_with(action, &mut |_, _| {})
    }

    /// Runs an action and hands its output on as it comes.
    ///
    /// # Errors
    /// As [`Shell::run`].
    pub fn act_with(
        &mut self,
        action: &Action,
        seen: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Observation, Error> {
        let policy = self.sandbox.policy();
        let script = action.script().map(|s| s.to_string_lossy().into_owned());
        let verdict = match &script {
            Some(script) => judge(policy, script),
            None => {
                let words = action.arguments().map(|w| Some(w.to_string_lossy().into_owned())).collect();
                judge_calls(policy, &[Call { words }])
            }
        };
        if let Verdict::Refused { rule, because, command } = verdict {
            let observation = refusal(self.sandbox.plan(), &rule, &because, &command);
            seen(Stream::Stderr, observation.stderr.text().as_bytes());
            return Ok(observation);
        }
        let mut observation = self.sandbox.run_with(action, seen)?;
        observation.denied = self.not_found(action, script.as_deref(), &observation);
        Ok(observation)
    }

    /// What the actions changed so far.
    ///
    /// # Errors
    /// The overlay cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        self.sandbox.changes()
    }

    /// The sandbox itself, for programs without a shell.
    pub fn sandbox(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }

    /// Programs that the policy keeps out and that the action asked for, as its stderr shows.
    fn not_found(&self, action: &Action, script: Option<&str>, seen: &Observation) -> Vec<Denied> {
        const NOT_FOUND: i32 = 127;
        let policy = self.sandbox.policy();
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

/// What the agent reads of a refused script.
pub(crate) fn refusal(plan: &Plan, rule: &str, because: &str, command: &str) -> Observation {
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
        enforced: plan.enforced.clone(),
        missing: plan.missing.clone(),
        killed: 0,
    }
}
