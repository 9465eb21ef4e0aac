//! What is known of a rollout when it has ended: one line of the journal.

use crate::Message;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of a rollout when it has ended; schema `sbx.rollout/1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `sbx.rollout/1`.
    pub schema: String,
    /// The instance.
    pub instance_id: String,
    /// Its repository.
    pub repo: String,
    /// Its commit.
    pub base_commit: String,
    /// Which of the instance's rollouts, from 0.
    pub rollout: u32,
    /// The model's name, as it was sent to the server.
    pub model: String,
    /// The harness's name.
    pub harness: String,
    /// How it ended, in the four words of the SWE-ZERO card.
    pub exit_status: ExitStatus,
    /// How it ended, in full; at most 200 characters.
    pub exit_status_detail: String,
    /// The conversation, without the observation that ended it.
    pub messages: Vec<Message>,
    /// The observation that ended it, when it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_observation: Option<String>,
    /// Assistant messages.
    pub n_turns: u64,
    /// Prompt tokens, summed over all turns.
    pub prompt_tokens: u64,
    /// Completion tokens, summed over all turns.
    pub completion_tokens: u64,
    /// Prompt tokens that the server had cached, summed over all turns.
    pub cached_tokens: u64,
    /// What its tokens cost, in the currency of the prices that were given; 0 without any.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub cost: f64,
    /// Whether some token counts are estimates because the server told none.
    pub tokens_estimated: bool,
    /// Requests that were answered.
    pub api_calls: u64,
    /// Wall time in seconds.
    pub duration_sec: f64,
    /// Start, in seconds since 1970.
    pub started_at: f64,
    /// The run's seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Sampling temperature.
    pub temperature: f64,
    /// What was submitted: the output after the sentinel line.
    pub submission: String,
    /// All that the rollout changed, as a git patch; of every rollout, however it ended.
    pub patch: String,
    /// What its observations were.
    pub observations: ObservationCounts,
    /// The policy that held.
    pub policy: PolicyStamp,
    /// Walls that stood.
    pub enforced: Vec<String>,
    /// Walls that were asked for and missing.
    pub missing: Vec<String>,
    /// Version of sbx.
    pub sbx_version: String,
}

fn is_nothing(cost: &f64) -> bool {
    *cost == 0.0
}

impl Rollout {
    /// The schema that this version writes.
    pub const SCHEMA: &'static str = "sbx.rollout/1";
}

/// How a rollout ended, in the words of the SWE-ZERO card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExitStatus {
    /// The agent said that it is done.
    Submitted,
    /// Turns, tokens or time were over, or the model stopped without an action.
    #[serde(rename = "incomplete")]
    Incomplete,
    /// The server, the checkout or the sandbox failed.
    #[serde(rename = "errored")]
    Errored,
    /// Anything else.
    #[default]
    #[serde(rename = "other")]
    Other,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExitStatus::Submitted => "Submitted",
            ExitStatus::Incomplete => "incomplete",
            ExitStatus::Errored => "errored",
            ExitStatus::Other => "other",
        })
    }
}

/// What a rollout's observations were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservationCounts {
    /// All of them.
    pub total: u64,
    /// Those with status 127: a program that does not exist in the sandbox.
    pub not_found: u64,
    /// Those that the policy refused or a wall stopped (status 126).
    pub denied: u64,
    /// Those that timed out.
    pub timed_out: u64,
}

/// The policy that held, by name and content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStamp {
    /// Its name.
    pub name: String,
    /// Hash of all that it says, in hexadecimal.
    pub sha256: String,
}
