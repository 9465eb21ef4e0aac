//! A completion: the message, why it ended, and what it cost.

use super::ServerError;
use super::error::cut;
use sbx_records::Message;
use serde::Deserialize;
use serde_json::Value;

/// A completion.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The assistant's message; a leading `<think>…</think>` is in `reasoning_content`.
    pub message: Message,
    /// `stop`, `length`, …; empty when the server did not say.
    pub finish_reason: String,
    /// What it cost; `None` when the server did not say.
    pub usage: Option<Usage>,
}

/// What a completion cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: u64,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

impl Reply {
    pub(super) fn parse(text: &str) -> Result<Reply, ServerError> {
        let not = |what: String| ServerError::NotACompletion(what);
        let completion: Completion = serde_json::from_str(text).map_err(|e| {
            if text.trim_start().starts_with('{') {
                not(format!("{e}: {}", cut(text)))
            } else {
                not(cut(text))
            }
        })?;
        let choice =
            completion.choices.into_iter().next().ok_or_else(|| not("an empty list of choices".into()))?;
        let usage = completion.usage.as_ref().and_then(usage);
        Ok(Reply {
            message: split_thinking(choice.message),
            finish_reason: choice.finish_reason.unwrap_or_default(),
            usage,
        })
    }
}

fn usage(value: &Value) -> Option<Usage> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let cached =
        value.get("prompt_tokens_details").and_then(|d| d.get("cached_tokens")).and_then(Value::as_u64);
    Some(Usage {
        prompt_tokens: number("prompt_tokens")?,
        completion_tokens: number("completion_tokens").unwrap_or(0),
        cached_tokens: cached.unwrap_or(0),
    })
}

/// Moves a leading `<think>…</think>` of the text to where servers with a reasoning parser put it. Without its end all
/// of the text is thinking: the reply was cut.
fn split_thinking(mut message: Message) -> Message {
    if let Some(rest) = message.content.trim_start().strip_prefix("<think>") {
        let (thinking, text) = rest.split_once("</think>").unwrap_or((rest, ""));
        let (thinking, text) = (thinking.trim().to_string(), text.trim_start().to_string());
        message.reasoning_content.get_or_insert(thinking);
        message.content = text;
    }
    message.role = "assistant".into();
    message
}

/// Reads an answer's text, bounded.
pub(super) async fn text_of(mut answer: reqwest::Response, most: usize) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len().min(most))]);
        if bytes.len() >= most {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_kept_apart_and_unknown_keys_stay() {
        let text = r#"{"choices":[{"message":{"role":"assistant","content":"<think>a ```bash\nrm\n```</think>\nb","annotations":[1]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#;
        let reply = Reply::parse(text).unwrap();
        assert_eq!(reply.message.content, "b");
        assert_eq!(reply.message.reasoning_content.as_deref(), Some("a ```bash\nrm\n```"));
        assert_eq!(reply.message.extra["annotations"], serde_json::json!([1]));
        assert_eq!(reply.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 2, cached_tokens: 1 }));
    }

    #[test]
    fn what_is_not_a_completion_says_what_it_is() {
        for (text, expected) in [
            ("<html>hello</html>", "<html>hello</html>"),
            (r#"{"choices":[]}"#, "an empty list of choices"),
            (r#"{"error":"x"}"#, "missing field `choices`"),
            ("", ""),
        ] {
            let error = Reply::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("expected a chat completion"), "{error}");
        }
        let null = r#"{"choices":[{"message":{"role":"assistant","content":null}}]}"#;
        let reply = Reply::parse(null).unwrap();
        assert_eq!((reply.message.content.as_str(), reply.usage), ("", None));
    }
}
