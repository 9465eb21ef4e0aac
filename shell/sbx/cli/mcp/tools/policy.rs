//! What is allowed, for the model's benefit.

use super::{Call, Tool, reads_only};
use crate::cli::exec::Fate;
use crate::cli::mcp::answer::Answer;
use crate::cli::mcp::place::Place;
use rmcp::model::ToolAnnotations;
use rmcp::schemars::{self, JsonSchema};
use sbx::Network;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

pub struct Policy;

/// Nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Takes {}

/// What is allowed.
#[derive(Serialize, JsonSchema)]
pub struct Allowed {
    name: String,
    about: String,
    sha256: String,
    /// What confines: native (walls of the kernel) or wasi (no process at all).
    backend: &'static str,
    /// Programs that exist.
    commands: Vec<String>,
    workspace_writable: bool,
    /// commit, discard or patch: what becomes of changes to the workspace.
    changes: &'static str,
    /// none, loopback, or the domains that can be reached.
    network: Vec<String>,
    limits: Limits,
    /// Commands that are answered with a reason instead of being run.
    refuse: Vec<Refused>,
}

#[derive(Serialize, JsonSchema)]
struct Limits {
    time_s: f64,
    memory_bytes: u64,
    processes: u32,
    output_bytes: u64,
    workspace_bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct Refused {
    when: String,
    because: String,
}

impl Tool for Policy {
    const NAME: &'static str = "policy";
    const WRITES: bool = false;
    type Takes = Takes;
    type Answers = Allowed;

    fn about(_: &Place) -> String {
        "What the sandbox allows: programs, network, limits, refused commands.".into()
    }

    fn hints(_: &Place) -> ToolAnnotations {
        reads_only("Policy")
    }

    fn act(_: Takes, call: &Call<'_>) -> anyhow::Result<Allowed> {
        Ok(Allowed::new(&call.place.policy, &call.place.fate))
    }
}

impl Allowed {
    pub fn new(policy: &sbx::Policy, fate: &Fate) -> Allowed {
        let limits = &policy.limits;
        let refuse = policy.refuse.iter();
        Allowed {
            name: policy.name.clone(),
            about: policy.about.clone(),
            sha256: policy.sha256(),
            backend: policy.backend.name(),
            commands: policy.commands.clone(),
            workspace_writable: policy.write_workspace,
            changes: match fate {
                Fate::Commit => "commit",
                Fate::Discard => "discard",
                Fate::Patch(_) => "patch",
            },
            network: match policy.network {
                Network::None => vec!["none".into()],
                Network::Loopback => vec!["loopback".into()],
                Network::Proxy => policy.domains.clone(),
            },
            limits: Limits {
                time_s: limits.time.as_secs_f64(),
                memory_bytes: limits.memory.0,
                processes: limits.processes,
                output_bytes: limits.output.0,
                workspace_bytes: limits.workspace.0,
            },
            refuse: refuse.map(|r| Refused { when: r.when.clone(), because: r.because.clone() }).collect(),
        }
    }
}

impl Answer for Allowed {
    fn text(&self) -> String {
        let Allowed { limits, .. } = self;
        let mut text =
            format!("Policy {}: {}\nPrograms: {}\n", self.name, self.about, self.commands.join(" "));
        let _ = writeln!(text, "Network: {}", self.network.join(", "));
        let _ = writeln!(
            text,
            "Limits of a call: {} s, {} of memory, {} processes, {} of each output stream",
            limits.time_s,
            sbx::ByteSize(limits.memory_bytes),
            limits.processes,
            sbx::ByteSize(limits.output_bytes),
        );
        let _ = writeln!(
            text,
            "Changes to the workspace: {}",
            if self.workspace_writable { self.changes } else { "none" }
        );
        for Refused { when, because } in &self.refuse {
            let _ = writeln!(text, "Refused: {when}: {because}");
        }
        text
    }
}
