//! SWE-agent's `.traj`: a list of steps with action and observation.

use super::{Seen, Step, messages};
use crate::Acted;
use crate::acted::tool;
use serde_json::{Value, json};

/// SWE-agent's own commands: they look like programs, but its harness runs them.
const TOOLS: [&str; 17] = [
    "str_replace_editor",
    "submit",
    "open",
    "goto",
    "scroll_up",
    "scroll_down",
    "create",
    "edit",
    "insert",
    "find_file",
    "search_file",
    "search_dir",
    "undo_edit",
    "exit_cost",
    "exit_context",
    "exit_format",
    "exit_error",
];

pub(super) fn steps(trajectory: &[Value]) -> Option<Vec<Step>> {
    trajectory.iter().map(step).collect()
}

fn step(step: &Value) -> Option<Step> {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    let action = text("action")?.trim_end_matches('\n');
    let name = action.split_whitespace().next().unwrap_or_default();
    let seen = text("observation").map(|observation| {
        let code = step.pointer("/extra_info/exit_code").and_then(Value::as_i64).map(|c| c as i32);
        // A terminal ends its lines so.
        let seen = messages::text(&observation.replace("\r\n", "\n"));
        Seen { exit_code: code.or(seen.exit_code), ..seen }
    });
    let action = if name.is_empty() || TOOLS.contains(&name) {
        let Acted::Tool { name, arguments, .. } = tool(name, json!({"line": action})) else { return None };
        Acted::Tool { name, arguments, text: action.to_string() }
    } else {
        Acted::Script(action.to_string())
    };
    Some(Step { action, seen })
}
