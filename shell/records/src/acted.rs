//! What a reply did: the actions that a harness recorded, the tool calls, or what its text asks for.

use crate::{Message, from_json};
use regex::{Captures, Regex};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// One thing that an agent did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// A bash script.
    Script(String),
    /// A tool that is no shell, such as an editor.
    Tool {
        /// The tool's name.
        name: String,
        /// Its arguments, as they came; null when they were not JSON.
        arguments: Value,
        /// Command, path and texts, a line each, for those who compare texts.
        text: String,
    },
}

impl Acted {
    /// The action as a text.
    pub fn text(&self) -> &str {
        match self {
            Acted::Script(text) | Acted::Tool { text, .. } => text,
        }
    }
}

/// Tools whose `command` is a script for the shell.
const SHELLS: [&str; 4] = ["bash", "execute_bash", "shell", "run"];

impl Message {
    /// What the message did, when an assistant wrote it: what its harness recorded, else its tool calls, else the first
    /// `bash` block or `<function=…>` of its text.
    pub fn acted(&self) -> Vec<Acted> {
        // mini-swe-agent 2 records `extra.actions`, SWE-ZERO's own scaffold `bash_command`.
        let recorded = self.extra.get("extra").and_then(|e| e.get("actions")).and_then(Value::as_array);
        if let Some(actions) = recorded {
            return actions.iter().filter_map(recorded_action).collect();
        }
        if let Some(command) = self.extra.get("bash_command").and_then(Value::as_str) {
            return vec![Acted::Script(command.to_string())];
        }
        if let Some(calls) = self.tool_calls.as_ref().and_then(Value::as_array).filter(|c| !c.is_empty()) {
            return calls.iter().map(called).collect();
        }
        asked(&self.content).into_iter().collect()
    }
}

/// A script, or the call of a tool.
fn recorded_action(action: &Value) -> Option<Acted> {
    match action.get("command") {
        Some(command) => Some(Acted::Script(command.as_str()?.to_string())),
        None => action.get("name").map(|_| called(action)),
    }
}

/// A tool call of a server's reply.
fn called(call: &Value) -> Acted {
    let function = call.get("function").unwrap_or(call);
    let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
    let given = function.get("arguments").cloned().unwrap_or_default();
    // Servers send the arguments as JSON text; some harnesses store the object.
    let arguments = match given.as_str().map(|text| from_json::<Value>(text.as_bytes())) {
        Some(Ok(object)) => object,
        _ => given,
    };
    tool(name, arguments)
}

/// A call of a tool by name and arguments: a shell's script, or an editor's command with its path and texts.
pub(crate) fn tool(name: &str, arguments: Value) -> Acted {
    let text = |key: &str| arguments.get(key).and_then(Value::as_str);
    let lines = match (text("command"), text("path")) {
        (Some(command), None) if SHELLS.contains(&name) => return Acted::Script(command.to_string()),
        (Some(command), None) => command.to_string(),
        (Some(command), Some(path)) => {
            let mut lines = vec![format!("{name} {command} {path}")];
            let texts = ["old_str", "new_str", "file_text"].into_iter().filter_map(text);
            lines.extend(texts.map(str::to_string));
            lines.join("\n")
        }
        (None, _) => format!("{name} {arguments}"),
    };
    Acted::Tool { name: name.to_string(), arguments, text: lines }
}

/// What a text asks for: its first `bash` block, or its first `<function=NAME>` with parameters, whose end may be missing
/// because it is a stop word. What comes first counts; the other may be a part of it.
fn asked(reply: &str) -> Option<Acted> {
    static BLOCK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?s)```bash\s*\n(.*?)\n```").expect("the expression is constant"));
    static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)<function=([^>]+)>\n?(.*?)(?:</function>|</function\s*$|$)")
            .expect("the expression is constant")
    });
    // A reply with CRLF means the same.
    let reply = reply.replace("\r\n", "\n");
    let (block, function) = (BLOCK.captures(&reply), FUNCTION.captures(&reply));
    let start = |found: &Option<Captures<'_>>| found.as_ref().map_or(usize::MAX, |f| f.get_match().start());
    if start(&function) < start(&block) {
        return function.map(|f| tool(f[1].trim(), parameters(&f[2])));
    }
    block.map(|b| Acted::Script(b[1].to_string()))
}

fn parameters(text: &str) -> Value {
    static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)<parameter=([^>]+)>(.*?)</parameter>").expect("the expression is constant")
    });
    let one = |found: Captures<'_>| {
        // One line break at each end belongs to the form, not to the value.
        let value = found[2].strip_prefix('\n').unwrap_or(&found[2]);
        (found[1].trim().to_string(), value.strip_suffix('\n').unwrap_or(value).into())
    };
    PARAMETER.captures_iter(text).map(one).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(message: Value) -> Vec<String> {
        let message: Message = serde_json::from_value(message).unwrap();
        message.acted().iter().map(|a| a.text().to_string()).collect()
    }

    fn say(content: &str) -> Value {
        json!({"role": "assistant", "content": content})
    }

    #[test]
    fn the_first_block_of_a_reply_counts() {
        assert_eq!(texts(say("a\n```bash\nls\n```")), ["ls"]);
        assert_eq!(texts(say("```bash\ncat <<E\nx\nE\n```\n```bash\npwd\n```")), ["cat <<E\nx\nE"]);
        assert_eq!(texts(say("```bash is the fence:\r\n```bash\r\n  id\r\n```")), ["  id"]);
        assert!(texts(say("no block")).is_empty() && texts(say("```bash\nunfinished")).is_empty());
    }

    #[test]
    fn a_call_in_the_text_is_a_tool_call() {
        let command = "<parameter=command>\ncat <<E\n```bash\nno\n```\nE\n</parameter>\n";
        for (name, end) in [("execute_bash", "</function>"), ("bash", "</function"), ("bash", "")] {
            let reply = say(&format!("I look.\n<function={name}>\n{command}{end}"));
            assert_eq!(texts(reply), ["cat <<E\n```bash\nno\n```\nE"]);
        }
        let edit = "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/f</parameter>\n</function>";
        assert_eq!(texts(say(edit)), ["str_replace_editor view /f"]);
        assert_eq!(texts(say("```bash\necho '<function=bash>'\n```")), ["echo '<function=bash>'"]);
    }

    #[test]
    fn recorded_actions_and_tool_calls_count_before_the_text() {
        let call = |name: &str, arguments: Value| {
            json!({"role": "assistant", "content": "```bash\nno\n```",
                   "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]})
        };
        let recorded = json!({"role": "assistant", "content": "", "extra": {"actions": [{"command": "a\n"}, {"command": "b"}]}});
        assert_eq!(texts(recorded), ["a\n", "b"]);
        let mut none = say("```bash\nno\n```");
        none["extra"] = json!({"actions": []});
        assert!(texts(none.clone()).is_empty());
        none["extra"] =
            json!({"actions": [{"name": "edit", "arguments": {"command": "view", "path": "/f"}}]});
        assert_eq!(texts(none), ["edit view /f"]);
        assert_eq!(
            texts(json!({"role": "assistant", "content": "```bash\nno\n```", "bash_command": "c"})),
            ["c"]
        );
        assert_eq!(texts(call("bash", json!("{\"command\": \"d\"}"))), ["d"]);
        assert_eq!(texts(call("bash", json!(r#"{"command": "e\ud83d"}"#))), ["e\u{fffd}"]);
        let edit =
            call("edit", json!({"command": "str_replace", "path": "/f", "old_str": "x", "new_str": "y"}));
        assert_eq!(texts(edit), ["edit str_replace /f\nx\ny"]);
        assert_eq!(texts(call("think", json!("not json"))), ["think \"not json\""]);
    }

    #[test]
    fn an_editor_is_no_shell() {
        let edit = tool("str_replace_editor", json!({"command": "view", "path": "/f"}));
        assert!(matches!(edit, Acted::Tool { name, .. } if name == "str_replace_editor"));
        assert_eq!(tool("execute_bash", json!({"command": "ls"})), Acted::Script("ls".into()));
    }
}
