//! OpenHands: a list of events, where an observation names the event that caused it.

use super::{Seen, Step};
use crate::Acted;
use crate::acted::tool;
use serde_json::Value;

/// Events that do nothing to the workspace.
const WORDS: [&str; 9] = [
    "message",
    "system",
    "recall",
    "think",
    "finish",
    "condensation",
    "change_agent_state",
    "null",
    "task_tracking",
];

pub(super) fn steps(list: Vec<Value>) -> Vec<Step> {
    // Older files hold pairs of action and observation.
    let events: Vec<Value> = list
        .into_iter()
        .flat_map(|event| match event {
            Value::Array(pair) => pair,
            event => vec![event],
        })
        .collect();
    let observation = |at: usize| {
        let id = events[at].get("id").and_then(Value::as_i64);
        let mut later = events[at + 1..].iter().filter(|e| e.get("observation").is_some());
        // Without numbers the next observation is meant.
        later.find(|e| id.is_none() || e.get("cause").and_then(Value::as_i64) == id).map(seen)
    };
    let mut steps = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Some(kind) = event.get("action").and_then(Value::as_str).filter(|k| !WORDS.contains(k)) else {
            continue;
        };
        let arguments = event.get("args").cloned().unwrap_or_default();
        let script = arguments.get("command").and_then(Value::as_str).filter(|_| kind == "run");
        let action = match script {
            Some(script) => Acted::Script(script.to_string()),
            None => tool(kind, arguments),
        };
        steps.push(Step { action, seen: observation(at) });
    }
    steps
}

fn seen(event: &Value) -> Seen {
    let code = |path: &str| event.pointer(path).and_then(Value::as_i64).map(|c| c as i32);
    let output = event.get("content").and_then(Value::as_str).unwrap_or_default();
    Seen {
        output: output.replace("\r\n", "\n"),
        exit_code: code("/extras/metadata/exit_code")
            .or_else(|| code("/extras/exit_code"))
            .filter(|c| *c >= 0),
        is_cut: output.contains("Observation truncated"),
    }
}
