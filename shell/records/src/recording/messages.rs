//! Conversations: what an assistant did, answered by the next message or by the one with the call's number.

use super::{Seen, Step};
use crate::Message;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What harnesses write where they leave something out.
const CUTS: [&str; 6] = [
    "<output_head>",
    "characters elided",
    "<response clipped>",
    "[... Observation truncated",
    "Observation truncated",
    "bytes omitted",
];

pub(super) fn steps(list: Vec<Value>) -> Option<Vec<Step>> {
    let messages: Option<Vec<Message>> = list.into_iter().map(message).collect();
    let messages = messages?;
    let mut steps = Vec::new();
    for (at, message) in messages.iter().enumerate().filter(|(_, m)| m.role == "assistant") {
        let ids: Vec<&str> = message
            .tool_calls
            .as_ref()
            .and_then(Value::as_array)
            .map(|calls| calls.iter().map(|c| c.get("id").and_then(Value::as_str).unwrap_or("")).collect())
            .unwrap_or_default();
        let answers = || messages[at + 1..].iter().take_while(|m| m.role != "assistant");
        for (n, action) in message.acted().into_iter().enumerate() {
            let by_number =
                ids.get(n).and_then(|id| answers().find(|m| m.tool_call_id.as_deref() == Some(*id)));
            let answer = by_number.or_else(|| answers().filter(|m| m.role != "exit").nth(n));
            steps.push(Step { action, seen: answer.map(seen) });
        }
    }
    Some(steps)
}

/// A message, also one whose content is a list of parts.
fn message(mut value: Value) -> Option<Message> {
    let parts = value.get("content").and_then(Value::as_array).map(|parts| {
        let texts = parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str));
        texts.collect::<Vec<_>>().join("\n")
    });
    if let Some(text) = parts {
        value["content"] = text.into();
    }
    serde_json::from_value(value).ok()
}

fn seen(answer: &Message) -> Seen {
    let recorded = answer.extra.get("extra");
    let raw = recorded.and_then(|e| e.get("raw_output")).and_then(Value::as_str);
    let code = recorded.and_then(|e| e.get("returncode")).and_then(Value::as_i64);
    let mut seen = text(&answer.content);
    if let Some(raw) = raw {
        (seen.output, seen.is_cut) = (raw.to_string(), false);
    }
    seen.exit_code = code.map(|c| c as i32).or(seen.exit_code);
    seen
}

/// The output within a harness's words.
pub(super) fn text(content: &str) -> Seen {
    static CODE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"<returncode>(-?\d+)</returncode>").expect("the expression is constant")
    });
    static OUTPUT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)<output>\n?(.*?)\n?</output>").expect("the expression is constant")
    });
    let exit_code = CODE.captures(content).and_then(|c| c[1].parse().ok());
    let is_cut = CUTS.iter().any(|cut| content.contains(cut));
    let output = match OUTPUT.captures(content) {
        Some(found) => found[1].to_string(),
        None => {
            let text = content.strip_prefix("Observation:").or_else(|| content.strip_prefix("OBSERVATION:"));
            text.map_or(content, |t| t.strip_prefix([' ', '\n']).unwrap_or(t)).to_string()
        }
    };
    Seen { output, exit_code, is_cut }
}
