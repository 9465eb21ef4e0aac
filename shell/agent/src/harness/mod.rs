//! Harnesses: how a model is prompted, how its reply becomes actions, and what it sees of them. A harness is one file
//! and one line in [`HARNESSES`].
//!
//! A harness knows no server and no sandbox: it turns messages into scripts and observations into messages.

mod mini;
mod swe_zero;

use sbx_records::{ExitStatus, Instance, Message};
use sbx_runtime::{Observation, Policy};
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A limit that does not hold.
pub const UNLIMITED: u64 = u64::MAX;

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
    /// Further keys of each request. Default: none.
    fn request(&self) -> Map<String, Value> {
        Map::new()
    }
    /// The actions that a reply asks for, in order.
    fn calls(&self, reply: &Message) -> Vec<Call>;
    /// What follows a reply that asks for none. `in_a_row` counts such replies, this one included.
    fn no_call(&self, reply: &Message, finish_reason: &str, in_a_row: u64) -> NoCall;
    /// What the model reads of an action's observation.
    fn observation(&self, call: &Call, seen: &Observation) -> Message;
    /// What was submitted, when the observation ends the rollout.
    fn submission(&self, seen: &Observation) -> Option<String>;
    /// Where the checkout is in the sandbox, absolute. Default: `/workspace`.
    fn workspace(&self) -> &str {
        "/workspace"
    }
    /// Environment of every action; `workspace` is the checkout's place in the sandbox.
    fn environment(&self, workspace: &str) -> Vec<(String, String)>;
    /// Whether an action's stderr goes into its stdout, in the order of writing. Default: no.
    fn merges_output(&self) -> bool {
        false
    }
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
    /// Whether the reply itself stays in the conversation.
    pub keeps_reply: bool,
}

/// Limits of a harness; [`UNLIMITED`] where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Replies of the model.
    pub turns: u64,
    /// Tokens of the whole conversation, prompt and completion together.
    pub total_tokens: u64,
    /// Tokens kept free because counts are estimates.
    pub reserve_tokens: u64,
    /// Tokens of one reply; when it is unlimited, requests do not name one.
    pub turn_tokens: u64,
    /// Wall time of one action.
    pub action_time: Duration,
}

/// Makes a harness; a configuration is its text and where that is from.
type Make = fn(Option<(&str, &str)>) -> Result<Arc<dyn Harness>, String>;

/// Every harness: its name, and how it is made.
const HARNESSES: [(&str, Make); 3] = [
    ("mini", |config| Ok(Arc::new(mini::one(config)?))),
    ("mini2", |config| Ok(Arc::new(mini::two(config)?))),
    ("swe-zero", |config| match config {
        None => Ok(Arc::new(swe_zero::SweZero)),
        Some(_) => Err("the harness swe-zero takes no configuration".into()),
    }),
];

/// Names of all harnesses, in order.
pub fn names() -> [&'static str; HARNESSES.len()] {
    HARNESSES.map(|(name, _)| name)
}

/// Makes the harness of a name, with a configuration file of its own kind if one is given.
///
/// # Errors
/// There is no such harness, or the file cannot be read or has a mistake.
pub fn make(name: &str, config: Option<&Path>) -> Result<Arc<dyn Harness>, String> {
    let found = HARNESSES.iter().find(|(own, _)| *own == name);
    let (_, make) =
        found.ok_or_else(|| format!("--harness: expected one of {}, found {name:?}", names().join(", ")))?;
    let Some(path) = config else { return make(None) };
    let origin = path.display().to_string();
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(mini::MAX_BYTES).read_to_string(&mut text));
    read.map_err(|e| format!("--harness-config {origin}: {e}"))?;
    make(Some((&text, &origin))).map_err(|e| format!("--harness-config: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_has_a_name_of_its_own() {
        assert!(names().windows(2).all(|w| w[0] < w[1]));
        for name in names() {
            assert_eq!(make(name, None).unwrap_or_else(|e| panic!("{e}")).name(), name);
        }
        let error = make("no-such", None).err().unwrap_or_default();
        assert!(error.contains("mini, mini2, swe-zero"), "{error}");
    }

    #[test]
    fn a_configuration_that_is_not_there_or_not_wanted_is_an_error() {
        let error = make("mini", Some(Path::new("/no/such.yaml"))).err().unwrap_or_default();
        assert!(error.contains("/no/such.yaml: No such file"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "agent:\n  system_template: '{{ missing }}'\n").unwrap();
        let error = make("mini", Some(&path)).err().unwrap_or_default();
        assert!(error.contains("c.yaml: system_template: undefined value"), "{error}");
        assert!(make("swe-zero", Some(&path)).is_err());
    }
}
