//! Streamed answers: pieces of a completion, put together to the whole one that a server without streaming would send.
//!
//! A rollout needs whole replies; streaming is only there to tell a server that thinks from one that hangs.

use super::error::ServerError;
use super::reply::parts;
use sbx_records::from_json;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Most tool calls of one reply.
const MAX_CALLS: usize = 256;

/// What a server says when a stream is over; it may leave the connection open.
const DONE: &str = "[DONE]";

/// The completion that a stream of events makes. A text that is none is handed back: not every server streams.
pub(super) fn whole(text: String) -> Result<String, ServerError> {
    let stream = text.trim_start_matches('\u{feff}');
    if !lines(stream).find(|line| !line.trim().is_empty()).is_some_and(is_field) {
        return Ok(text);
    }
    let mut all = Pieces::default();
    for data in events(stream) {
        if data.trim() == DONE {
            all.done = true;
            break;
        }
        let piece: Value = from_json(data.as_bytes())
            .map_err(|e| ServerError::NotACompletion(format!("a piece that is not JSON: {e}")))?;
        if let Some(error) = piece.get("error").filter(|e| !e.is_null()) {
            let status =
                error.get("code").and_then(Value::as_u64).and_then(|c| u16::try_from(c).ok()).unwrap_or(500);
            return Err(ServerError::of_status(status, &piece.to_string(), None));
        }
        all.take(piece);
    }
    if !all.done && all.finish.is_null() {
        return Err(ServerError::NotACompletion("a stream that was cut".into()));
    }
    Ok(all.completion().to_string())
}

/// Looks for the end of a stream in a text that grows.
#[derive(Default)]
pub(super) struct End {
    /// Where the line begins whose end has not come.
    line: usize,
    /// How far line ends were looked for.
    seen: usize,
}

impl End {
    /// Whether the stream is over; `text` is all that came so far.
    pub(super) fn is_in(&mut self, text: &[u8]) -> bool {
        let is_end = |line: &[u8]| {
            line.strip_prefix(b"data:").is_some_and(|data| data.trim_ascii() == DONE.as_bytes())
        };
        while let Some(at) = text[self.seen..].iter().position(|byte| is_line_end(*byte)) {
            let line = &text[self.line..self.seen + at];
            if is_end(line) {
                return true;
            }
            self.seen += at + 1;
            self.line = self.seen;
        }
        self.seen = text.len();
        is_end(&text[self.line..])
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Lines of a stream of events: they end with LF, CR, or both.
fn lines(stream: &str) -> impl Iterator<Item = &str> {
    let end_at = |line: &str| line.len() - usize::from(line.ends_with('\r'));
    stream.split('\n').flat_map(move |line| line[..end_at(line)].split('\r'))
}

/// Whether a line is one of a stream of events (WHATWG HTML, 9.2): a field, or a comment.
fn is_field(line: &str) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name);
    ["", "data", "event", "id", "retry"].contains(&name)
}

/// The data of each event. Several lines of data in one event are joined; but where each of them is JSON by itself, the
/// server left out the empty lines between its events.
fn events(stream: &str) -> Vec<Cow<'_, str>> {
    let (mut all, mut event) = (Vec::new(), Vec::new());
    for line in lines(stream).chain([""]) {
        if let Some(data) = line.strip_prefix("data:") {
            event.push(data.strip_prefix(' ').unwrap_or(data));
        } else if line.is_empty() {
            let stands = |data: &&str| data.trim() == DONE || from_json::<Value>(data.as_bytes()).is_ok();
            match &event[..] {
                [] => {}
                [one] => all.push(Cow::Borrowed(*one)),
                several if several.iter().all(stands) => {
                    all.extend(several.iter().copied().map(Cow::Borrowed))
                }
                several => all.push(Cow::Owned(several.join("\n"))),
            }
            event.clear();
        }
    }
    all
}

#[derive(Default)]
struct Pieces {
    /// The message: texts are appended, other keys replaced.
    message: Map<String, Value>,
    calls: Vec<Map<String, Value>>,
    /// Keys around the choices: id, model, usage.
    around: Map<String, Value>,
    finish: Value,
    done: bool,
}

impl Pieces {
    fn take(&mut self, piece: Value) {
        let Value::Object(mut piece) = piece else { return };
        let choices = piece.remove("choices");
        for (key, value) in piece {
            // The usage comes last, and others may say null before.
            if !value.is_null() {
                self.around.insert(key, value);
            }
        }
        let Some(Value::Array(choices)) = choices else { return };
        let Some(Value::Object(mut choice)) = choices.into_iter().next() else { return };
        if let Some(finish) = choice.remove("finish_reason").filter(|f| !f.is_null()) {
            self.finish = finish;
        }
        let Some(Value::Object(delta)) = choice.remove("delta") else { return };
        for (key, value) in delta {
            match (key.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => calls.into_iter().for_each(|call| self.call(call)),
                (_, Value::Null) => {}
                ("role", value) => drop(self.message.insert(key, value)),
                ("content", value) => {
                    let text = parts(&value).map_or(value, Value::from);
                    append(&mut self.message, key, text);
                }
                (_, value) => append(&mut self.message, key, value),
            }
        }
    }

    fn call(&mut self, call: Value) {
        let Value::Object(mut call) = call else { return };
        let at = call.remove("index").and_then(|i| i.as_u64()).and_then(|i| usize::try_from(i).ok());
        // Without a number, another id begins another call.
        let is_new = |last: &Map<String, Value>| {
            let id = call.get("id").filter(|id| !id.is_null());
            id.is_some_and(|id| last.get("id").is_some_and(|held| held != id))
        };
        let at = at.unwrap_or_else(|| match self.calls.last() {
            Some(last) if !is_new(last) => self.calls.len() - 1,
            _ => self.calls.len(),
        });
        if at >= MAX_CALLS {
            return;
        }
        if self.calls.len() <= at {
            self.calls.resize_with(at + 1, Map::new);
        }
        let slot = &mut self.calls[at];
        if let Some(Value::Object(function)) = call.remove("function") {
            let held = slot.entry("function").or_insert_with(|| json!({}));
            if let Value::Object(held) = held {
                function.into_iter().filter(|(_, v)| !v.is_null()).for_each(|(k, v)| append(held, k, v));
            }
        }
        for (key, value) in call {
            if !value.is_null() {
                slot.insert(key, value);
            }
        }
    }

    fn completion(mut self) -> Value {
        if !self.calls.is_empty() {
            let calls: Vec<Value> = self.calls.into_iter().map(Value::Object).collect();
            self.message.insert("tool_calls".into(), calls.into());
        }
        self.message.entry("role").or_insert_with(|| "assistant".into());
        let choice = json!({"index": 0, "message": self.message, "finish_reason": self.finish});
        let mut all = self.around;
        all.insert("object".into(), "chat.completion".into());
        all.insert("choices".into(), json!([choice]));
        Value::Object(all)
    }
}

/// Appends a text to a text; anything else takes the place.
fn append(map: &mut Map<String, Value>, key: String, value: Value) {
    match (map.get_mut(&key), value) {
        (Some(Value::String(held)), Value::String(more)) => held.push_str(&more),
        (_, value) => drop(map.insert(key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(pieces: &[Value]) -> String {
        pieces.iter().map(|p| format!("data: {p}\n\n")).collect::<String>()
    }

    #[test]
    fn pieces_make_the_whole_completion() {
        let delta = |delta: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        let text = stream(&[
            delta(json!({"role": "assistant", "content": null, "reasoning_content": "I "})),
            delta(json!({"reasoning_content": "think"})),
            delta(json!({"content": "a"})),
            delta(json!({"content": "b"})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "bash", "arguments": "{\"com"}}]}),
            ),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "mand\": \"ls\"}"}}]})),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": null}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ]) + "data: [DONE]\n\n";
        let all: Value = serde_json::from_str(&whole(text).unwrap()).unwrap();
        let message = &all["choices"][0]["message"];
        assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("ab"), &json!("I think")));
        let call = json!({"id": "c0", "type": "function", "function": {"name": "bash", "arguments": "{\"command\": \"ls\"}"}});
        assert_eq!(message["tool_calls"], json!([call]));
        assert_eq!((&all["usage"]["prompt_tokens"], &all["id"]), (&json!(3), &json!("x")));
        assert_eq!(all["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn calls_without_a_number_are_told_apart_by_their_ids() {
        let piece = |call: Value| json!({"choices": [{"delta": {"tool_calls": [call]}}]});
        let text = stream(&[
            piece(json!({"id": "a", "function": {"name": "f", "arguments": "{"}})),
            piece(json!({"function": {"arguments": "}"}})),
            piece(json!({"id": "b", "function": {"name": "g", "arguments": "{}"}})),
        ]) + "data: [DONE]\n\n";
        let all: Value = serde_json::from_str(&whole(text).unwrap()).unwrap();
        let call = |id: &str, name: &str| json!({"id": id, "function": {"name": name, "arguments": "{}"}});
        assert_eq!(all["choices"][0]["message"]["tool_calls"], json!([call("a", "f"), call("b", "g")]));
    }

    #[test]
    fn a_stream_is_read_as_the_standard_says() {
        let piece = |text: &str| json!({"choices": [{"delta": {"content": text}}]}).to_string();
        let (a, b) = (piece("a"), piece("b"));
        let end = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        let apart = b.replace(':', ":\ndata: ");
        for text in [
            format!("id: 1\ndata: {a}\n\nid: 2\ndata: {b}\n\ndata: {end}\n\n"),
            format!("retry: 100\n\ndata:{a}\n\ndata:{b}\n\ndata:{end}"),
            format!(": hello\n\ndata: {a}\n\n:\n\ndata: {b}\n\ndata: [DONE]\n\n: bye\n\n"),
            format!("\u{feff}data: {a}\n\ndata: {b}\n\ndata: [DONE]\n\n"),
            format!("\r\n\r\nevent: x\r\ndata: {a}\r\n\r\ndata: {b}\r\n\r\ndata: [DONE]\r\n\r\n"),
            format!("event\rdata: {a}\r\rdata: {b}\r\rdata: [DONE]\r\r"),
            format!("data: {a}\n\ndata: {apart}\n\ndata: [DONE]\n\n"),
            format!("data: {a}\ndata: {b}\ndata: [DONE]\n"),
        ] {
            let all: Value = serde_json::from_str(&whole(text.clone()).unwrap()).unwrap();
            assert_eq!(all["choices"][0]["message"]["content"], "ab", "{text:?}");
        }
        for text in ["{\"data:\": 1}", "<html>", "", "\u{feff}{}", "database: x"] {
            assert_eq!(whole(text.into()).unwrap(), text);
        }
    }

    #[test]
    fn the_end_of_a_stream_is_seen_wherever_a_piece_ends() {
        for ends in ["\n\n", "\r\n\r\n", "\r\r"] {
            let text = format!("data: \"data: [DONE]\"{ends}data: [DONE]{ends}: more");
            let over = text.find(&format!("[DONE]{ends}")).unwrap() + DONE.len();
            let mut end = End::default();
            let seen = (1..=text.len()).find(|n| end.is_in(&text.as_bytes()[..*n]));
            assert_eq!(seen, Some(over));
            assert!(End::default().is_in(text.as_bytes()));
        }
        assert!(!End::default().is_in(b"{\"content\": \"\\ndata: [DONE]\"}"));
    }

    #[test]
    fn a_cut_stream_and_an_error_in_it_are_told() {
        let cut = stream(&[json!({"choices": [{"delta": {"content": "a"}}]})]);
        assert!(whole(cut).unwrap_err().to_string().contains("cut"));
        let error = stream(&[
            json!({"error": {"code": 400, "message": "This model's maximum context length is 8 tokens."}}),
        ]);
        assert!(matches!(whole(error), Err(ServerError::ContextOverflow { .. })));
        assert!(whole("data: {no\n".into()).is_err());
        assert_eq!(whole("{\"choices\": []}".into()).unwrap(), "{\"choices\": []}");
    }
}
