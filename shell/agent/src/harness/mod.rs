//! Harnesses: how a model is prompted, how its reply becomes actions, and what it sees of them. A harness is one file
//! and one line in [`HARNESSES`].
//!
//! A harness knows no server and no sandbox: it turns messages into scripts and observations into messages.

mod swe_zero;

use sbx_records::{ExitStatus, Instance, Message};
use sbx_runtime::{Observation, Policy};
use serde_json::Value;
use std::time::Duration;

/// How a model is prompted, how its reply becomes actions, and what it sees of them.
pub trait Harness: Sync + Send {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// Its limits where the command line says none.
    fn limits(&self) -> Limits;
    /// The messages before the first reply. What they say of programs comes from the policy.
    fn opening(&self, instance: &Instance, policy: &Policy) -> Vec<Message>;
    /// The `tools` of each request. Default: none; the model then answers in text, and only roles and texts are sent.
    fn tools(&self, _policy: &Policy) -> Option<Value> {
        None
    }
    /// The actions that a reply asks for, in order.
    fn calls(&self, reply: &Message) -> Vec<Call>;
    /// What follows a reply that asks for none. `in_a_row` counts such replies, this one included.
    fn no_call(&self, reply: &Message, finish_reason: &str, in_a_row: u64) -> NoCall;
    /// What the model reads of an action's observation.
    fn observation(&self, call: &Call, seen: &Observation) -> Message;
    /// What was submitted, when the observation ends the rollout.
    fn submission(&self, seen: &Observation) -> Option<String>;
    /// Environment of every action; `workspace` is the checkout's place in the sandbox.
    fn environment(&self, workspace: &str) -> Vec<(&'static str, String)>;
}

/// An action that a reply asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The bash script.
    pub script: String,
    /// The tool call that it came from; none when it came from the text.
    pub id: Option<String>,
}

/// What follows a reply that asks for no action.
#[derive(Clone, Debug, PartialEq)]
pub struct NoCall {
    /// What the model reads.
    pub message: Message,
    /// How the rollout ends, if it does: status, and the reason in full.
    pub end: Option<(ExitStatus, String)>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = HARNESSES.iter().map(|h| h.name()).collect();
        assert_eq!(names.len(), HARNESSES.len());
        assert!(names.iter().all(|name| by_name(name).is_some_and(|h| h.name() == *name)));
        assert!(by_name("no-such").is_none());
    }
}
