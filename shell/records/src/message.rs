//! One message of a conversation, as servers and datasets write it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation. Keys that are not named here are kept as they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// The text; empty when the server sent none.
    #[serde(default, deserialize_with = "text_or_null")]
    pub content: String,
    /// Thinking, under the key that SGLang, llama.cpp and older vLLM use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Thinking, under the key that newer vLLM uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Whether the thinking stood in the text and was taken out of it; it is then under no key of the server's.
    #[serde(skip)]
    pub thought_in_text: bool,
    /// Whether the server sent no text, but null or nothing.
    #[serde(skip)]
    pub without_content: bool,
    /// Tool calls as the server sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Value>,
    /// The call that a `tool` message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All other keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message with only a role and a text.
    pub fn new(role: &str, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into(), ..Message::default() }
    }
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_default())
}
