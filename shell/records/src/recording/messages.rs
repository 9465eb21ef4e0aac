//! Conversations: what an assistant did, answered by the next message or by the one with the call's number.

use super::{Seen, Step};
use crate::Message;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What harnesses write where they leave something out.
const CUTS: [&str; 7] = [
    "<output_head>",
    "... (output truncated, ",
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

/// What SWE-agent says where there is no output.
const NOTHING: &str = "Your command ran successfully and did not produce any output.";
/// What SWE-ZERO adds to an output, and OpenHands before the exit status.
const TIMED_OUT: &str = "\n\n[command timed out]";
const COMPLETED: &str = "[The command completed with exit code ";
/// The exit status of what timed out.
const TIME_OUT: i32 = 124;

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
    if let Some(found) = OUTPUT.captures(content) {
        return Seen { output: found[1].to_string(), exit_code, is_cut };
    }
    let (output, code) = unwrapped(content);
    Seen { output: output.to_string(), exit_code: exit_code.or(code), is_cut }
}

/// An output without what stands before and behind it, and the exit status that is told there.
fn unwrapped(content: &str) -> (&str, Option<i32>) {
    let called =
        content.strip_prefix("EXECUTION RESULT of [").and_then(|rest| Some(rest.split_once("]:\n")?.1));
    let named = content.strip_prefix("Observation:").or_else(|| content.strip_prefix("OBSERVATION:"));
    let text = called.or_else(|| named.map(|t| t.strip_prefix([' ', '\n']).unwrap_or(t))).unwrap_or(content);
    let ended = text.rsplit_once(COMPLETED).and_then(|(output, end)| {
        let code = end.split_once('.')?.0.parse().ok()?;
        Some((output.strip_suffix('\n').unwrap_or(output), Some(code)))
    });
    ended.unwrap_or_else(|| match text.strip_suffix(TIMED_OUT) {
        Some(output) => (output, Some(TIME_OUT)),
        None if text == NOTHING => ("", None),
        None => (text, None),
    })
}
