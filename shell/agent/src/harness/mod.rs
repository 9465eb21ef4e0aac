//! Harnesses: how a model is prompted, how its reply becomes actions, and what it sees of them. A harness is one file
//! and one line in [`HARNESSES`].
//!
//! A harness knows no server and no sandbox: it turns messages into scripts and observations into messages.

mod mini;
mod openhands;
mod python_json;
mod swe_agent;
mod swe_zero;
mod tool_call;

use crate::editor::{Edit, Style};
use sbx_records::{Acted, ExitStatus, Instance, Message};
use sbx_runtime::{Observation, Policy};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
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
    /// Gives a reply back what a stop word of the request took off it. Default: nothing.
    fn complete(&self, _reply: &mut Message) {}
    /// The actions that a reply asks for, in order.
    fn calls(&self, reply: &Message) -> Vec<Call>;
    /// What follows a reply that asks for none. `in_a_row` counts such replies, this one included.
    fn no_call(&self, reply: &Message, finish_reason: &str, in_a_row: u64) -> NoCall;
    /// What the model reads of an action's observation.
    fn observation(&self, call: &Call, seen: &Observation) -> Message;
    /// What was submitted, when the observation ends the rollout.
    fn submission(&self, seen: &Observation) -> Option<String>;
    /// What the model reads of the words of a tool that is no script: an editor's, a terminal's.
    fn said(&self, call: &Call, _cwd: &str, text: &str) -> Message {
        call.answer(text)
    }
    /// What follows an [`Act::Submit`]; `patch` is what the rollout has changed, `problem` the instance's statement, and
    /// `earlier` counts such acts before.
    fn submit(&self, call: &Call, patch: &str, _problem: &str, _earlier: u64) -> Submit {
        Submit::Done { submission: patch.to_string(), observation: call.answer(patch) }
    }
    /// Whether one bash serves all actions, on a terminal, so that variables and directory stay. Default: no.
    fn keeps_shell(&self) -> bool {
        false
    }
    /// Whose editor the harness has. Default: none.
    fn editor(&self) -> Option<Style> {
        None
    }
    /// Scripts that this harness does not run, and what the model reads instead. Default: none.
    fn blocks(&self, _script: &str) -> Option<String> {
        None
    }
    /// What the model reads of a script that is not well formed, when such scripts are not run. `said` is bash's own word.
    fn syntax_fault(&self, _said: &str) -> Option<String> {
        None
    }
    /// Replies in a row whose scripts are not run; the rollout ends with the last. Default: any number.
    fn most_faults(&self) -> u64 {
        UNLIMITED
    }
    /// Actions in a row that may time out; the rollout ends with the last. Default: any number.
    fn most_timeouts(&self) -> u64 {
        UNLIMITED
    }
    /// Whether a reply that is only a tool call goes back without a text, and not with an empty one. Default: no.
    fn keeps_null(&self) -> bool {
        false
    }
    /// The messages as they are sent. Default: as they are.
    fn trimmed<'a>(&self, messages: &'a [Message]) -> Cow<'a, [Message]> {
        Cow::Borrowed(messages)
    }
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
    /// What is asked for.
    pub act: Act,
    /// The tool call that it came from; none when it came from the text.
    pub id: Option<String>,
    /// The tool's name; empty when it came from the text.
    pub tool: String,
}

/// What a reply asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A bash script, run to its end.
    Script(String),
    /// A command for a terminal, which may go on running.
    Type(Input),
    /// The file editor.
    Edit(Edit),
    /// Something that only the harness answers, with this.
    Say(String),
    /// A list that the rollout remembers, and what the model reads of that.
    Note {
        /// The list.
        list: String,
        /// What the model reads.
        said: String,
    },
    /// The list that was remembered last, or these words when there is none.
    Notes(String),
    /// The work is done, with these words.
    Submit(String),
}

/// Something for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// A command, or with `is_input` a line for what runs; empty to see more of its output; `C-c` and its like are keys.
    pub command: String,
    /// Whether it is for what runs.
    pub is_input: bool,
    /// How long its end is waited for; without it, as long as something is written.
    pub time: Option<Duration>,
}

impl Call {
    /// A script from the text of a reply.
    pub fn script(script: impl Into<String>) -> Call {
        Call { act: Act::Script(script.into()), id: None, tool: String::new() }
    }

    /// The script; empty when it is none.
    pub fn text(&self) -> &str {
        match &self.act {
            Act::Script(script) => script,
            Act::Type(input) => &input.command,
            _ => "",
        }
    }

    /// Whether a reader of the record takes it for the same.
    pub(crate) fn is(&self, read: &Acted) -> bool {
        match (read, &self.act) {
            (Acted::Script(script), Act::Script(_) | Act::Type(_)) => script.trim() == self.text().trim(),
            (Acted::Tool { name, .. }, act) => {
                *name == self.tool && !matches!(act, Act::Script(_) | Act::Type(_))
            }
            _ => false,
        }
    }

    /// The call as a record has it: a `command`, or the `name` and `arguments` of a tool.
    pub(crate) fn recorded(&self) -> Value {
        match &self.act {
            Act::Script(_) | Act::Type(_) => json!({"command": self.text()}),
            Act::Edit(edit) => json!({"name": self.tool, "arguments": edit}),
            _ => json!({"name": self.tool, "arguments": {}}),
        }
    }

    /// A message that answers the call: of the tool when it was a tool call, else of the user.
    pub fn answer(&self, text: &str) -> Message {
        match &self.id {
            Some(id) => Message { tool_call_id: Some(id.clone()), ..Message::new("tool", text) },
            None => Message::new("user", text),
        }
    }
}

/// What follows an [`Act::Submit`].
#[derive(Clone, Debug, PartialEq)]
pub enum Submit {
    /// The model is asked to look again.
    Review(Message),
    /// The rollout has ended.
    Done {
        /// What was submitted.
        submission: String,
        /// What the model would have read.
        observation: Message,
    },
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
    /// Whether reply and answer leave the conversation with the next reply. The reply is then sent as its text alone.
    pub is_passing: bool,
    /// Whether the reply goes back without its tool calls: a server refuses a call whose arguments are not JSON, and one
    /// that nothing answers.
    pub drops_calls: bool,
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
const HARNESSES: [(&str, Make); 5] = [
    ("mini", |config| Ok(Arc::new(mini::one(config)?))),
    ("mini2", |config| Ok(Arc::new(mini::two(config)?))),
    ("openhands", |config| Ok(Arc::new(openhands::OpenHands::new(config)?))),
    ("swe-agent", |config| Ok(Arc::new(swe_agent::SweAgent::new(config)?))),
    ("swe-zero", |config| match config {
        None => Ok(Arc::new(swe_zero::SweZero)),
        Some(_) => Err("the harness swe-zero takes no configuration".into()),
    }),
];

pub(crate) use swe_agent::editor_line;

/// Names of all harnesses, in order.
pub fn names() -> [&'static str; HARNESSES.len()] {
    HARNESSES.map(|(name, _)| name)
}

/// Makes the harness of a name, with a configuration file of its own kind if one is given.
///
/// # Errors
/// There is no such harness, or the file cannot be read or has a mistake.
pub fn make(name: &str, config: Option<&Path>) -> Result<Arc<dyn Harness>, String> {
    make_of(name, config.map(ConfigFile::read).transpose()?.as_ref())
}

/// As [`make`], of a file that was read.
pub(crate) fn make_of(name: &str, config: Option<&ConfigFile>) -> Result<Arc<dyn Harness>, String> {
    let found = HARNESSES.iter().find(|(own, _)| *own == name);
    let (_, make) =
        found.ok_or_else(|| format!("--harness: expected one of {}, found {name:?}", names().join(", ")))?;
    let Some(ConfigFile { text, origin }) = config else { return make(None) };
    make(Some((text, origin))).map_err(|e| format!("--harness-config: {e}"))
}

/// A configuration file of a harness: its text, and where that is from.
pub(crate) struct ConfigFile {
    text: String,
    origin: String,
}

impl ConfigFile {
    /// Reads a file, once: it may be a pipe.
    pub(crate) fn read(path: &Path) -> Result<ConfigFile, String> {
        let origin = path.display().to_string();
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|f| f.take(mini::MAX_BYTES).read_to_string(&mut text));
        read.map_err(|e| format!("--harness-config {origin}: {e}"))?;
        Ok(ConfigFile { text, origin })
    }

    /// The SHA-256 of its text, in hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(&self.text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
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
        assert!(error.contains("mini, mini2, openhands, swe-agent, swe-zero"), "{error}");
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
