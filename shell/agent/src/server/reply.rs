//! A completion: the message, why it ended, and what it cost.

use super::ServerError;
use super::error::cut;
use super::stream::End;
use sbx_records::{Message, from_json};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::error::Elapsed;

/// A completion.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The assistant's message; a leading `<think>…</think>` is in `reasoning_content`.
    pub message: Message,
    /// `stop`, `length`, …; empty when the server did not say.
    pub finish_reason: String,
    /// What it cost; `None` when the server did not say.
    pub usage: Option<Usage>,
    /// All else that the answer had: what it cost in the server's own words, fields around the choice, fields of it.
    pub around: Map<String, Value>,
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
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(deserialize_with = "message")]
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A message that knows whether it had a text at all.
fn message<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Message, D::Error> {
    let mut value = Value::deserialize(d)?;
    if let Some(text) = value.get("content").and_then(parts) {
        value["content"] = text.into();
    }
    let without_content = value.get("content").is_none_or(Value::is_null);
    // Whatever a server says of it, or does not: this is a reply.
    if let Value::Object(map) = &mut value {
        map.insert("role".into(), "assistant".into());
    }
    let message: Message = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
    Ok(Message { without_content, ..message })
}

/// The text of a list of parts.
pub(super) fn parts(content: &Value) -> Option<String> {
    let texts = content.as_array()?.iter().filter_map(|part| part.get("text").unwrap_or(part).as_str());
    Some(texts.collect::<Vec<_>>().join("\n"))
}

impl Reply {
    pub(super) fn parse(text: &str) -> Result<Reply, ServerError> {
        let not = |what: String| ServerError::NotACompletion(what);
        let text = text.trim_start_matches('\u{feff}');
        let completion: Completion = from_json(text.as_bytes()).map_err(|e| {
            if text.trim_start().starts_with('{') {
                not(format!("{e}: {}", cut(text)))
            } else {
                not(cut(text))
            }
        })?;
        let mut choice = completion.choices.into_iter().next().ok_or(ServerError::EmptyChoices)?;
        let usage = completion.usage.as_ref().and_then(usage);
        let mut around = Map::new();
        let told = completion.usage.filter(|usage| !usage.is_null());
        around.extend(told.map(|usage| ("usage".into(), shallow(usage, MAX_DEPTH))));
        choice.rest.remove("index");
        for (key, rest) in [("response", completion.rest), ("choice", choice.rest)] {
            if !rest.is_empty() {
                around.insert(key.into(), shallow(rest.into(), MAX_DEPTH));
            }
        }
        Ok(Reply {
            message: split_thinking(choice.message),
            finish_reason: choice.finish_reason.unwrap_or_default(),
            usage,
            around,
        })
    }
}

/// Levels of lists and objects that are kept of what is around a reply. In a journal it lies deeper than in the answer, and
/// readers of JSON end at 128.
const MAX_DEPTH: usize = 64;

/// The value; what is nested deeper is kept as its text.
fn shallow(value: Value, depth: usize) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) if depth == 0 => value.to_string().into(),
        Value::Array(items) => items.into_iter().map(|item| shallow(item, depth - 1)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, shallow(value, depth - 1))).collect(),
        other => other,
    }
}

/// More tokens than any reply costs. Sums over a run's turns stay far below what a number can hold.
pub(super) const MAX_TOKENS: u64 = 1 << 40;

/// Half a count is none: what is missing is estimated.
fn usage(value: &Value) -> Option<Usage> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let prompt_tokens = number("prompt_tokens").filter(|n| *n > 0)?;
    let rest = || number("total_tokens")?.checked_sub(prompt_tokens);
    let cached =
        value.get("prompt_tokens_details").and_then(|d| d.get("cached_tokens")).and_then(Value::as_u64);
    Some(Usage {
        prompt_tokens: prompt_tokens.min(MAX_TOKENS),
        completion_tokens: number("completion_tokens").or_else(rest)?.min(MAX_TOKENS),
        cached_tokens: cached.unwrap_or(0).min(MAX_TOKENS),
    })
}

/// A text's leading `<think>…</think>`, and what follows it. Without its end all of the text is thinking: the reply was
/// cut. The beginning is missing where the model's template has put it into the prompt.
pub(crate) fn without_thinking(text: &str) -> (Option<&str>, &str) {
    let (thinking, text) = match text.trim_start().strip_prefix("<think>") {
        Some(rest) => rest.split_once("</think>").unwrap_or((rest, "")),
        None => match text.split_once("</think>") {
            Some((thinking, rest)) if may_be_thinking(thinking) => (thinking, rest),
            _ => return (None, text),
        },
    };
    (Some(thinking.trim()), text.trim_start())
}

/// Whether what follows may be the end of a thinking, and not a word that the text speaks of: it begins a line, and stands in
/// no block of code.
fn may_be_thinking(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.trim().is_empty() && !before.contains("<think>") && before.matches("```").count().is_multiple_of(2)
}

/// Moves thinking to where servers with a reasoning parser put it.
fn split_thinking(mut message: Message) -> Message {
    if let (Some(thinking), text) = without_thinking(&message.content) {
        let (thinking, text) = (thinking.to_string(), text.to_string());
        message.reasoning_content.get_or_insert(thinking);
        message.thought_in_text = true;
        message.content = text;
    }
    message
}

/// Reads an answer's text, of a stream up to its end; `None` when it is longer than `most` bytes.
/// The outer error says that nothing came for as long as `idle`.
pub(super) async fn text_of(
    mut answer: reqwest::Response,
    most: usize,
    idle: Option<Duration>,
) -> Result<Result<Option<String>, reqwest::Error>, Elapsed> {
    let (mut bytes, mut end) = (Vec::new(), End::default());
    loop {
        match within(idle, answer.chunk()).await? {
            Err(e) => return Ok(Err(e)),
            Ok(None) => break,
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => return Ok(Ok(None)),
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
        }
        if end.is_in(&bytes) {
            break;
        }
    }
    Ok(Ok(Some(String::from_utf8_lossy(&bytes).into_owned())))
}

/// Waits for something, for a time or for ever.
pub(super) async fn within<T>(time: Option<Duration>, what: impl Future<Output = T>) -> Result<T, Elapsed> {
    match time {
        Some(time) => tokio::time::timeout(time, what).await,
        None => Ok(what.await),
    }
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
        let text = r#"{"id":"x","prompt_token_ids":[1],"choices":[{"index":0,"message":{"role":"assistant","content":"b"},"token_ids":[2],"logprobs":null}]}"#;
        let around = serde_json::json!({
            "response": {"id": "x", "prompt_token_ids": [1]}, "choice": {"token_ids": [2], "logprobs": null},
        });
        assert_eq!(Value::Object(Reply::parse(text).unwrap().around), around);
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
        assert!(reply.message.without_content);
    }

    #[test]
    fn a_reply_needs_no_role_and_may_begin_with_a_byte_order_mark() {
        for role in ["", r#""role":null,"#, r#""role":"model","#] {
            let text = format!("\u{feff}{{\"choices\":[{{\"message\":{{{role}\"content\":\"a\"}}}}]}}");
            let message = Reply::parse(&text).unwrap().message;
            assert_eq!((message.role.as_str(), message.content.as_str()), ("assistant", "a"));
        }
    }

    #[test]
    fn halves_of_surrogate_pairs_and_lists_of_parts_are_read() {
        let text = r#"{"choices":[{"message":{"role":"assistant","content":"a\ud83d","tool_calls":[{"id":"c","function":{"name":"bash","arguments":"{\"command\": \"ls \\ud83d\"}"}}]}}]}"#;
        let reply = Reply::parse(text).unwrap();
        assert_eq!(reply.message.content, "a\u{fffd}");
        for harness in ["mini2", "swe-agent"] {
            let calls = crate::harness::make(harness, None).unwrap().calls(&reply.message);
            assert_eq!(calls[0].text(), "ls \u{fffd}", "{harness}");
        }
        let text = r#"{"choices":[{"message":{"role":"assistant","content":[{"type":"text","text":"<think>t</think>a"},{"type":"image"},{"type":"text","text":"b"}]}}]}"#;
        let message = Reply::parse(text).unwrap().message;
        assert_eq!((message.content.as_str(), message.without_content), ("a\nb", false));
        assert_eq!(message.reasoning_content.as_deref(), Some("t"));
        let empty = r#"{"choices":[{"message":{"role":"assistant","content":[]}}]}"#;
        assert_eq!(Reply::parse(empty).unwrap().message.content, "");
    }

    #[test]
    fn what_a_journals_reader_could_not_follow_is_kept_as_text() {
        let deep = format!("{}{}", "[".repeat(123), "]".repeat(123));
        let text = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":"a"}},"odd":{deep}}}],"odd":{deep}}}"#
        );
        let around = Reply::parse(&text).unwrap_or_else(|e| panic!("{e}")).around;
        let line = serde_json::json!({"messages": [{"extra": around}]}).to_string();
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap()["messages"][0]["extra"],
            Value::from(around)
        );
        assert!(line.matches('[').count() > 2 * 100);
    }

    #[test]
    fn half_a_count_of_tokens_is_none() {
        let of = |text: &str| {
            let usage = usage(&serde_json::from_str(text).unwrap())?;
            Some((usage.prompt_tokens, usage.completion_tokens))
        };
        assert_eq!(of(r#"{"prompt_tokens":3,"completion_tokens":0}"#), Some((3, 0)));
        assert_eq!(of(r#"{"prompt_tokens":3,"total_tokens":5}"#), Some((3, 2)));
        let most = u64::MAX;
        assert_eq!(
            of(&format!(r#"{{"prompt_tokens":{most},"completion_tokens":{most}}}"#)),
            Some((MAX_TOKENS, MAX_TOKENS))
        );
        for text in ["null", "{}", r#"{"prompt_tokens":3}"#, r#"{"prompt_tokens":0,"completion_tokens":0}"#] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn thinking_without_an_end_is_all_thinking() {
        assert_eq!(without_thinking(" <think>a\nb"), (Some("a\nb"), ""));
        assert_eq!(without_thinking("b <think>a</think>"), (None, "b <think>a</think>"));
    }

    #[test]
    fn thinking_whose_beginning_is_in_the_prompt_ends_all_the_same() {
        let block = "```bash\necho no\n```";
        let text = format!("{block}\n</think>\n\nTHOUGHT");
        assert_eq!(without_thinking(&text), (Some(block), "THOUGHT"));
        assert_eq!(without_thinking("\n</think>\n\na"), (Some(""), "a"));
        for spoken_of in
            ["grep -n '</think>' .", "```bash\ncat >f <<E\n</think>\nE\n```", "<think> ends with\n</think>"]
        {
            assert_eq!(
                without_thinking(spoken_of).0.is_some(),
                spoken_of.starts_with("<think>"),
                "{spoken_of}"
            );
        }
    }
}
