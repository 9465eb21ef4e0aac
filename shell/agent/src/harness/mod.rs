//! Harnesses: how a model is prompted, how its reply becomes an action, and what it sees of it. A harness is one file
//! and one line in [`HARNESSES`].

mod swe_zero;

use sbx_records::{Instance, Message};
use sbx_runtime::{Observation, Policy};
use std::time::Duration;

/// How a model is prompted, how its reply becomes an action, and what it sees of it.
pub trait Harness: Sync + Send {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// Its limits where the command line says none.
    fn limits(&self) -> Limits;
    /// The messages before the first reply. What they say of tools comes from the policy.
    fn opening(&self, instance: &Instance, policy: &Policy) -> Vec<Message>;
    /// The action in a reply.
    fn action(&self, reply: &str) -> Option<String>;
    /// What the model reads after a reply without an action.
    fn no_action(&self) -> String;
    /// What the model reads of an observation.
    fn observation(&self, seen: &Observation) -> String;
    /// What was submitted, when the observation ends the rollout.
    fn submission(&self, seen: &Observation) -> Option<String>;
    /// Environment of every action; `workspace` is the checkout's place in the sandbox.
    fn environment(&self, workspace: &str) -> Vec<(&'static str, String)>;
}

/// Limits of a harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Replies of the model.
    pub turns: u64,
    /// Tokens of the whole conversation, prompt and completion together.
    pub total_tokens: u64,
    /// Tokens kept free because counts are estimates.
    pub reserve_tokens: u64,
    /// Tokens of one reply.
    pub turn_tokens: u64,
    /// Wall time of one action.
    pub action_time: Duration,
}

/// Every harness.
pub const HARNESSES: [&dyn Harness; 1] = [&swe_zero::SweZero];

/// Returns the harness of a name.
pub fn by_name(name: &str) -> Option<&'static dyn Harness> {
    HARNESSES.into_iter().find(|h| h.name() == name)
}
