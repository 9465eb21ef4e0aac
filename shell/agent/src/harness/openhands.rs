//! OpenHands' CodeAct agent: a terminal on which a command may go on running, a file editor, `think`, `task_tracker` and
//! `finish`, with tool calls or, for models without them, in the text.
//!
//! The system prompt, the tools and the task's frame are those of its recorded evaluations (0.3x, MIT licence), or with
//! `version: "0.59"` in a configuration those of the last release of its first generation, in its plan mode (0.59,
//! `openhands/agenthub/codeact_agent`, `evaluation/benchmarks/swe_bench/prompts/swe_default.j2`).

mod convert;

use super::python_json::type_name;
use super::tool_call::{Fault, ToolCall, native, text};
use super::{Act, Call, Harness, Input, Limits, NoCall, UNLIMITED};
use crate::editor::{Edit, Style};
use minijinja::Environment;
use sbx_records::{ExitStatus, Instance, Message};
use sbx_runtime::{Observation, Policy};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What of a version is data: the system prompt, the task's frame, the tools.
struct Words {
    system: &'static str,
    task: &'static str,
    tools: &'static str,
}

const RECORDED: Words = Words {
    system: include_str!("openhands/system.txt"),
    task: include_str!("openhands/task.j2"),
    tools: include_str!("openhands/tools.json"),
};
const LAST: Words = Words {
    system: include_str!("openhands/system-0.59.txt"),
    task: include_str!("openhands/task-0.59.j2"),
    tools: include_str!("openhands/tools-0.59.json"),
};
/// Steps of its evaluations.
const STEPS: u64 = 100;
/// Characters of an observation; of a longer one the middle is left out.
const MAX_OBSERVATION: usize = 30_000;
/// Replies in a row without a tool call after which the rollout ends.
const MOST_WORDS: u64 = 5;
const GO_ON: &str = "Please continue working on the task on whatever approach you think is suitable.\n\
     When you think you have solved the question, please use the finish tool and include your final answer in the message \
     parameter of the finish tool.\nIMPORTANT: YOU SHOULD NEVER ASK FOR HUMAN HELP.\n";
const GIVE_UP: &str = "If you want to give up, use the \"finish\" tool to finish the interaction.\n";

/// OpenHands by a configuration.
#[derive(Debug)]
pub(super) struct OpenHands {
    config: Config,
    system: String,
    task: String,
    tools: Value,
}

/// What a YAML file given with `--harness-config` may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Whose words: `0.3` or `0.59`.
    version: String,
    /// The system prompt; the version's by default.
    system: Option<String>,
    /// The first message: a Jinja template of `instance`, `workspace` and `workspace_dir_name`; the version's by default.
    task: Option<String>,
    /// Whether the server reads tool calls itself; else they are in the text.
    native_tool_calling: bool,
    /// Where the checkout is.
    workspace: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            version: "0.3".into(),
            system: None,
            task: None,
            native_tool_calling: true,
            workspace: "/workspace/repo".into(),
        }
    }
}

impl OpenHands {
    /// Reads a configuration, and tries its template.
    pub(super) fn new(config: Option<(&str, &str)>) -> Result<OpenHands, String> {
        let (config, origin): (Config, &str) = match config {
            None => (Config::default(), "task.j2"),
            Some((text, origin)) => {
                (serde_yaml_ng::from_str(text).map_err(|e| format!("{origin}: {e}"))?, origin)
            }
        };
        if !config.workspace.starts_with('/') {
            return Err(format!(
                "{origin}: workspace: expected an absolute path, found {:?}",
                config.workspace
            ));
        }
        let words = match config.version.as_str() {
            "0.3" => RECORDED,
            "0.59" => LAST,
            other => return Err(format!("{origin}: version: expected \"0.3\" or \"0.59\", found {other:?}")),
        };
        let tools = serde_json::from_str(words.tools).map_err(|e| format!("tools.json: {e}"))?;
        let system = config.system.clone().unwrap_or_else(|| words.system.into());
        let task = config.task.clone().unwrap_or_else(|| words.task.into());
        let harness = OpenHands { config, system, task, tools };
        harness
            .task(&json!({"problem_statement": "", "base_commit": "", "language": ""}))
            .map_err(|e| format!("{origin}: task: {e:#}"))?;
        Ok(harness)
    }

    fn task(&self, instance: &Value) -> Result<String, minijinja::Error> {
        let place = &self.config.workspace;
        let name = place.rsplit('/').next().unwrap_or(place);
        let values = json!({"instance": instance, "workspace": place, "workspace_dir_name": name});
        Environment::new().render_str(&self.task, minijinja::Value::from(minijinja::value::Serde(&values)))
    }

    fn read(&self, reply: &Message) -> Result<Vec<Call>, Fault> {
        if !self.config.native_tool_calling {
            return convert::read(&reply.content).and_then(|call| Ok(vec![self.call(&call)?]));
        }
        native(reply)?.iter().map(|call| self.call(call)).collect()
    }

    fn call(&self, call: &ToolCall) -> Result<Call, Fault> {
        let arguments = &call.arguments;
        let needed = |key: &str| {
            text(arguments, key)?.ok_or_else(|| {
                Fault::Arguments(format!("Missing required argument \"{key}\" in tool call {}", call.name))
            })
        };
        let act = match call.name.as_str() {
            "execute_bash" => Act::Type(Input {
                command: needed("command")?,
                is_input: is_true(arguments, "is_input"),
                time: seconds(arguments, "timeout")?,
            }),
            "str_replace_editor" => {
                Act::Edit(Edit::parse(&Value::Object(arguments.clone())).map_err(Fault::Arguments)?)
            }
            "think" => Act::Say("Your thought has been logged.".into()),
            "task_tracker" => tracked(arguments)?,
            "finish" => Act::Submit(text(arguments, "message")?.unwrap_or_default()),
            other => {
                let names: Vec<&str> = self
                    .tools
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|t| t["function"]["name"].as_str())
                    .collect();
                return Err(Fault::Arguments(format!(
                    "Tool {other} is not registered. (arguments: {}). Please check the tool name and retry with an existing \
                     tool: {}",
                    Value::Object(arguments.clone()),
                    names.join(", ")
                )));
            }
        };
        Ok(Call { act, id: call.id.clone(), tool: call.name.clone() })
    }

    /// The message that answers a call.
    fn answer(&self, call: &Call, content: &str) -> Message {
        let content = bounded(content);
        if self.config.native_tool_calling {
            return Message { name: Some(call.tool.clone()), ..call.answer(&content) };
        }
        Message::new("user", format!("EXECUTION RESULT of [{}]:\n{content}", call.tool))
    }
}

impl Harness for OpenHands {
    fn name(&self) -> &'static str {
        "openhands"
    }

    fn limits(&self) -> Limits {
        Limits {
            turns: STEPS,
            total_tokens: UNLIMITED,
            reserve_tokens: 0,
            turn_tokens: UNLIMITED,
            // The terminal has times of its own.
            action_time: Duration::from_secs(1200),
        }
    }

    fn opening(&self, instance: &Instance, _: &Policy) -> Vec<Message> {
        let mut values = json!(instance);
        values["language"] = instance.language.as_ref().map_or(String::new(), |l| format!("{l} ")).into();
        let task = self.task(&values).unwrap_or_else(|e| format!("the template failed: {e:#}"));
        let mut system = self.system.clone();
        if !self.config.native_tool_calling {
            system.push_str(&convert::manual(&self.tools));
        }
        vec![Message::new("system", system), Message::new("user", task)]
    }

    fn tools(&self, _: &Policy) -> Option<Value> {
        self.config.native_tool_calling.then(|| self.tools.clone())
    }

    fn request(&self) -> Map<String, Value> {
        let mut more = Map::new();
        if !self.config.native_tool_calling {
            more.insert("stop".into(), json!([convert::STOP]));
        }
        more
    }

    fn complete(&self, reply: &mut Message) {
        if !self.config.native_tool_calling {
            convert::complete(&mut reply.content);
        }
    }

    fn calls(&self, reply: &Message) -> Vec<Call> {
        self.read(reply).unwrap_or_default()
    }

    fn no_call(&self, reply: &Message, _: &str, in_a_row: u64) -> NoCall {
        let end = (in_a_row >= MOST_WORDS)
            .then(|| (ExitStatus::Incomplete, format!("{in_a_row} replies in a row without a tool call")));
        let text = match self.read(reply) {
            Err(Fault::Arguments(why)) => format!("{why}\n[Error occurred in processing last action]"),
            _ if in_a_row > 1 => format!("{GO_ON}{GIVE_UP}"),
            _ => GO_ON.into(),
        };
        // The original takes no call of such a reply, and tells its error as a user.
        let message = Message::new("user", text);
        NoCall { message, end, keeps_reply: true, is_passing: false, drops_calls: true }
    }

    fn observation(&self, call: &Call, seen: &Observation) -> Message {
        self.answer(call, &seen.stdout.text())
    }

    fn said(&self, call: &Call, cwd: &str, text: &str) -> Message {
        if matches!(call.act, Act::Type(_)) && !text.starts_with("ERROR:") {
            let mut all = format!("{text}\n[Current working directory: {cwd}]");
            if let Some(code) = finished(text) {
                all.push_str(&format!("\n[Command finished with exit code {code}]"));
            }
            return self.answer(call, &all);
        }
        self.answer(call, text)
    }

    fn submission(&self, _: &Observation) -> Option<String> {
        None
    }

    fn workspace(&self) -> &str {
        &self.config.workspace
    }

    fn environment(&self, _: &str) -> Vec<(String, String)> {
        [("PAGER", "cat"), ("GIT_PAGER", "cat")].map(|(k, v)| (k.into(), v.into())).into()
    }

    fn keeps_shell(&self) -> bool {
        true
    }

    fn editor(&self) -> Option<Style> {
        Some(Style::OpenHands)
    }
}

/// The status in the terminal's last line, when the command has ended.
fn finished(text: &str) -> Option<&str> {
    let (_, last) = text.rsplit_once("[The command completed with exit code ")?;
    last.split_once('.').map(|(code, _)| code)
}

/// OpenHands' booleans are texts.
fn is_true(arguments: &Map<String, Value>, key: &str) -> bool {
    match arguments.get(key) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn seconds(arguments: &Map<String, Value>, key: &str) -> Result<Option<Duration>, Fault> {
    let number = match arguments.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_f64(),
    };
    let fits = number.filter(|n| (0.0..1e6).contains(n));
    fits.map(|n| Some(Duration::from_secs_f64(n))).ok_or_else(|| {
        Fault::Arguments(format!("Invalid float passed to 'timeout' argument: {}", arguments[key]))
    })
}

/// What the task tracker does: it writes a list, or shows the last one.
fn tracked(arguments: &Map<String, Value>) -> Result<Act, Fault> {
    let fault = |why: String| Err(Fault::Arguments(why));
    match arguments.get("command").and_then(Value::as_str) {
        Some("plan") => {
            let tasks = match arguments.get("task_list") {
                Some(Value::Array(tasks)) => tasks,
                Some(other) => {
                    let why = "Invalid format for \"task_list\". Expected a list but got";
                    return fault(format!("{why} {}.", python_type(other)));
                }
                None => {
                    let why = "Missing required argument \"task_list\" for \"plan\" command in tool call task_tracker";
                    return fault(why.into());
                }
            };
            let mut list = String::from("# Task List\n\n");
            for (at, task) in tasks.iter().enumerate() {
                let Value::Object(task) = task else {
                    return fault(format!(
                        "Unexpected task format in task_list: {}. Each task shoud be a dictionary.",
                        python_type(task)
                    ));
                };
                let text = |key: &str| task.get(key).and_then(Value::as_str);
                let icon = match text("status") {
                    Some("in_progress") => "🔄",
                    Some("done") => "✅",
                    _ => "⏳",
                };
                let (title, notes) = (text("title").unwrap_or("Untitled task"), text("notes").unwrap_or(""));
                list.push_str(&format!("{}. {icon} {title}\n{notes}\n", at + 1));
            }
            let said = format!(
                "Task list has been updated with {} items. Stored in session directory: sessions/TASKS.md",
                tasks.len()
            );
            Ok(Act::Note { list, said })
        }
        Some("view") => Ok(Act::Notes("No task list found. Use the \"plan\" command to create one.".into())),
        _ => fault("Missing required argument \"command\" in tool call task_tracker".into()),
    }
}

/// A type as Python prints it.
fn python_type(value: &Value) -> String {
    format!("<class '{}'>", type_name(value))
}

fn bounded(text: &str) -> String {
    let count = text.chars().count();
    if count <= MAX_OBSERVATION {
        return text.to_string();
    }
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let half = MAX_OBSERVATION / 2;
    format!(
        "{}\n[... Observation truncated due to length ...]\n{}",
        &text[..at(half)],
        &text[at(count - half)..]
    )
}

#[cfg(test)]
mod tests;
