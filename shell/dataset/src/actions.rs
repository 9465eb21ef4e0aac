//! The action text of a rollout: what it did, without what it said and saw.

use regex::Regex;
use sbx_records::{Message, Rollout};
use serde_json::Value;
use std::sync::LazyLock;

/// The actions of a rollout, each without the blanks around it, joined by line breaks.
pub(crate) fn action_text(rollout: &Rollout) -> String {
    let replies = rollout.messages.iter().filter(|m| m.role == "assistant");
    let actions: Vec<String> = replies.flat_map(actions).collect();
    actions.iter().map(|a| a.trim()).collect::<Vec<_>>().join("\n")
}

/// The actions of a reply: what its harness recorded, else its tool calls, else its first `bash` block.
fn actions(reply: &Message) -> Vec<String> {
    // mini-swe-agent 2 records `extra.actions`, SWE-ZERO's own scaffold `bash_command`.
    let recorded = reply.extra.get("extra").and_then(|e| e.get("actions")).and_then(Value::as_array);
    if let Some(actions) = recorded {
        return actions.iter().filter_map(|a| Some(a.get("command")?.as_str()?.to_string())).collect();
    }
    if let Some(command) = reply.extra.get("bash_command").and_then(Value::as_str) {
        return vec![command.to_string()];
    }
    if let Some(calls) = reply.tool_calls.as_ref().and_then(Value::as_array).filter(|c| !c.is_empty()) {
        return calls.iter().map(called).collect();
    }
    block(&reply.content).into_iter().collect()
}

/// A tool call: the command of a shell, or an editor's command with its path and texts.
fn called(call: &Value) -> String {
    let function = call.get("function").unwrap_or(call);
    let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
    let given = function.get("arguments").cloned().unwrap_or_default();
    // Servers send the arguments as JSON text; some harnesses store the object.
    let arguments = match given.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(object)) => object,
        _ => given,
    };
    let text = |key: &str| arguments.get(key).and_then(Value::as_str);
    match (text("command"), text("path")) {
        (Some(command), None) => command.to_string(),
        (Some(command), Some(path)) => {
            let mut lines = vec![format!("{name} {command} {path}")];
            let texts = ["old_str", "new_str", "file_text"].into_iter().filter_map(text);
            lines.extend(texts.map(str::to_string));
            lines.join("\n")
        }
        (None, _) => format!("{name} {arguments}"),
    }
}

fn block(reply: &str) -> Option<String> {
    static BLOCK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?s)```bash\s*\n(.*?)\n```").expect("the expression is constant"));
    // A reply with CRLF means the same.
    let reply = reply.replace("\r\n", "\n");
    BLOCK.captures(&reply).map(|c| c[1].to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(replies: &[Value]) -> String {
        let messages = replies.iter().map(|m| serde_json::from_value(m.clone()).unwrap()).collect();
        action_text(&Rollout { messages, ..Rollout::default() })
    }

    fn say(content: &str) -> Value {
        json!({"role": "assistant", "content": content})
    }

    #[test]
    fn the_first_block_of_each_reply_counts() {
        let replies = [
            say("a\n```bash\nls\n```"),
            say("no block"),
            say("```bash\ncat <<E\nx\nE\n```\n```bash\npwd\n```"),
            say("```bash is the fence:\r\n```bash\r\n  id\r\n```"),
            say("```bash\nunfinished"),
            json!({"role": "user", "content": "```bash\nrm\n```"}),
        ];
        assert_eq!(text(&replies), "ls\ncat <<E\nx\nE\nid");
    }

    #[test]
    fn recorded_actions_and_tool_calls_count_before_the_text() {
        let call = |name: &str, arguments: Value| {
            json!({"role": "assistant", "content": "```bash\nno\n```",
                   "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]})
        };
        let replies = [
            json!({"role": "assistant", "content": "", "extra": {"actions": [{"command": "a\n"}, {"command": "b"}]}}),
            json!({"role": "assistant", "content": "```bash\nno\n```", "bash_command": "c"}),
            call("bash", json!("{\"command\": \"d\"}")),
            call("edit", json!({"command": "str_replace", "path": "/f", "old_str": "x", "new_str": "y"})),
            call("think", json!("not json")),
        ];
        assert_eq!(text(&replies), "a\nb\nc\nd\nedit str_replace /f\nx\ny\nthink \"not json\"");
    }
}
