//! A bash script.

use super::{Call, Tool};
use crate::cli::exec::on_a_line;
use crate::cli::mcp::answer::{Answer, Changed, append};
use crate::cli::mcp::place::{Kept, Place};
use rmcp::model::ToolAnnotations;
use rmcp::schemars::{self, JsonSchema};
use sbx::{Network, Observation, Outcome, Stream, format_duration};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::time::Duration;

pub struct Bash;

/// A bash script to run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// Bash script. It begins in the workspace.
    pub command: String,
    /// Seconds after which it is ended; the policy may allow less.
    #[serde(default)]
    #[schemars(range(min = 0.001))]
    pub timeout_s: Option<f64>,
    /// Directory to begin in, absolute or relative to the workspace.
    #[serde(default)]
    pub cwd: Option<String>,
}

/// How a script ended.
#[derive(Serialize, JsonSchema)]
pub struct Ran {
    /// exited, signaled, timed_out, refused, out_of_memory, output_limit or cancelled.
    #[schemars(with = "String")]
    outcome: Outcome,
    /// The script's own; 124 timed out, 126 refused, 127 not found, 128 + n signal n.
    exit_code: i32,
    timed_out: bool,
    stdout: String,
    stderr: String,
    truncated: Truncated,
    /// Limits that fired: time, memory, processes, output, workspace.
    limits_hit: Vec<String>,
    /// What the policy keeps out.
    denied: Vec<Denied>,
    changes: Changed,
    wall_s: f64,
    /// Walls that the policy asks for and that are missing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

/// Bytes left out in the middle of each stream.
#[derive(Serialize, JsonSchema)]
struct Truncated {
    stdout_bytes: u64,
    stderr_bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct Denied {
    what: String,
    /// The policy's key that decided.
    rule: String,
    /// What is allowed instead.
    hint: String,
}

impl Tool for Bash {
    const NAME: &'static str = "bash";
    const WRITES: bool = true;
    type Takes = Takes;
    type Answers = Ran;

    fn about(place: &Place) -> String {
        format!(
            "Run a bash script in the workspace, in a sandbox. Programs: {}. At most {} and {} of each output stream, of \
             which head and tail are shown.",
            place.policy.commands.join(" "),
            format_duration(place.policy.limits.time),
            place.policy.limits.output,
        )
    }

    fn hints(place: &Place) -> ToolAnnotations {
        let reaches_out = place.policy.network == Network::Proxy;
        ToolAnnotations::with_title("Bash")
            .read_only(false)
            .destructive(true)
            .idempotent(false)
            .open_world(reaches_out)
    }

    fn check(takes: &Takes) -> Result<(), String> {
        match takes.timeout_s {
            Some(s) if s <= 0.0 => Err("timeout_s: expected seconds, more than 0".into()),
            _ => Ok(()),
        }
    }

    fn act(takes: Takes, call: &Call<'_>) -> anyhow::Result<Ran> {
        let mut action = call.place.action(&takes.command).cancelled_by(call.cancel);
        if let Some(time) = takes.time() {
            action = action.time(time);
        }
        if let Some(dir) = takes.cwd.as_ref().filter(|dir| !dir.is_empty()) {
            action = action.cwd(dir);
        }
        let mut show = |_: Stream, bytes: &[u8]| {
            call.show(bytes);
            ControlFlow::Continue(())
        };
        let (seen, kept) = call.place.act(|shell| shell.act_with(&action, &mut show))?;
        Ok(Ran::new(&seen, &kept))
    }
}

impl Takes {
    /// The time that is asked for, if any is. The policy bounds it.
    fn time(&self) -> Option<Duration> {
        self.timeout_s.map(|s| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX))
    }
}

impl Ran {
    pub fn new(seen: &Observation, kept: &Kept) -> Ran {
        let denied = seen.denied.iter();
        Ran {
            outcome: seen.outcome,
            exit_code: seen.exit_code,
            timed_out: seen.outcome == Outcome::TimedOut,
            stdout: seen.stdout.text(),
            stderr: seen.stderr.text(),
            truncated: Truncated { stdout_bytes: seen.stdout.omitted(), stderr_bytes: seen.stderr.omitted() },
            limits_hit: seen.limits_hit.clone(),
            denied: denied
                .map(|d| Denied { what: d.what.clone(), rule: d.rule.clone(), hint: d.hint.clone() })
                .collect(),
            changes: Changed::new(kept),
            wall_s: seen.wall.as_secs_f64(),
            missing: seen.missing.clone(),
        }
    }
}

impl Answer for Ran {
    fn is_error(&self) -> bool {
        self.changes.is_lost()
    }

    fn text(&self) -> String {
        let mut text = self.stdout.clone();
        append(&mut text, &self.stderr);
        let mut say = |line: String| append(&mut text, &format!("[{line}]"));
        if self.timed_out {
            say(format!("timed out after {:.1} s", self.wall_s));
        }
        for limit in self.limits_hit.iter().filter(|limit| !self.timed_out || *limit != "time") {
            say(format!("limit reached: {limit}"));
        }
        // A refusal's reason is on stderr already.
        for denied in self.denied.iter().filter(|_| self.outcome != Outcome::Refused) {
            say(on_a_line(&format!("{}: {}", denied.what, denied.hint)));
        }
        self.changes.tell(&mut say);
        if !self.missing.is_empty() {
            say(format!("walls missing: {}", self.missing.join(", ")));
        }
        if self.exit_code != 0 {
            say(format!("exit code {}", self.exit_code));
        } else if text.is_empty() {
            text.push_str("[no output]");
        }
        text
    }
}
