//! mini-swe-agent, both generations: the text one (v1.17.5) and the one with tool calls (v2.4.6), by their own YAML
//! configurations. Without a configuration the SWE-bench one of each is used.
//!
//! What is different from the original: costs are not known here, so `cost_limit` does not end a rollout.

mod config;
mod output;

pub(crate) use config::MAX_BYTES;

use super::python_json::{self, type_name};
use super::{Act, Call, Harness, Limits, NoCall, UNLIMITED};
use config::{Config, Generation};
use minijinja::{Environment, UndefinedBehavior};
use sbx_records::{ExitStatus, Instance, Message, from_json};
use sbx_runtime::{Observation, Outcome, Policy};
use serde_json::{Map, Value, json};
use std::time::Duration;

const V1: &str = include_str!("mini/v1.yaml");
const V2: &str = include_str!("mini/v2.yaml");

/// mini-swe-agent by a configuration.
#[derive(Debug)]
pub(super) struct Mini {
    name: &'static str,
    generation: Generation,
    config: Config,
}

/// `mini`: v1.
pub(super) fn one(config: Option<(&str, &str)>) -> Result<Mini, String> {
    Mini::new("mini", Generation::One, config.unwrap_or((V1, "v1.yaml")))
}

/// `mini2`: v2.
pub(super) fn two(config: Option<(&str, &str)>) -> Result<Mini, String> {
    Mini::new("mini2", Generation::Two, config.unwrap_or((V2, "v2.yaml")))
}

impl Mini {
    /// Reads a configuration, and tries its templates, so that a mistake shows before the run.
    fn new(name: &'static str, generation: Generation, (text, origin): (&str, &str)) -> Result<Mini, String> {
        let mini = Mini { name, generation, config: Config::parse(text, origin, generation)? };
        let config = &mini.config;
        let output = json!({"output": "", "returncode": 0, "exception_info": ""});
        let tries = [
            ("system_template", &config.system, json!({"task": ""})),
            ("instance_template", &config.instance, json!({"task": ""})),
            ("observation template", &config.observation, json!({"output": output})),
            ("timeout_template", &config.timeout, json!({"action": {"action": ""}, "output": ""})),
            ("format_error_template", &config.format_error, mini.fault(&[], "", "stop", false)),
        ];
        for (key, template, values) in tries {
            mini.try_render(template, values).map_err(|e| format!("{origin}: {key}: {e:#}"))?;
        }
        Ok(mini)
    }

    fn try_render(&self, template: &str, values: Value) -> Result<String, minijinja::Error> {
        let mut jinja = Environment::new();
        jinja.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut all = self.config.variables.clone();
        for (name, value) in uname() {
            all.entry(name).or_insert_with(|| value.into());
        }
        if let Value::Object(values) = values {
            all.extend(values);
        }
        jinja.render_str(template, minijinja::Value::from(minijinja::value::Serde(&all)))
    }

    /// A template that was tried at the start fails only for values that the original would fail for.
    fn render(&self, template: &str, values: Value) -> String {
        self.try_render(template, values).unwrap_or_else(|e| format!("the template failed: {e:#}"))
    }

    /// What a template for a format error is given.
    fn fault(&self, actions: &[String], error: &str, finish_reason: &str, has_tool_calls: bool) -> Value {
        json!({"actions": actions, "error": error, "finish_reason": finish_reason, "has_tool_calls": has_tool_calls})
    }

    /// The calls of `bash` in a reply, or what is wrong with them.
    fn tool_calls(&self, reply: &Message) -> Result<Vec<Call>, String> {
        let none = "No tool calls found in the response. Every response MUST include at least one tool call.";
        let calls = reply
            .tool_calls
            .as_ref()
            .and_then(Value::as_array)
            .filter(|calls| !calls.is_empty())
            .ok_or(none)?;
        calls
            .iter()
            .map(|call| {
                let function = &call["function"];
                let mut error = String::new();
                let arguments = match &function["arguments"] {
                    Value::String(text) => from_json(text.as_bytes()).unwrap_or_else(|e| {
                        let why = python_json::fault(text).unwrap_or_else(|| e.to_string());
                        error = format!("Error parsing tool call arguments: {why}.");
                        Value::Null
                    }),
                    // Some servers send the object itself.
                    other => other.clone(),
                };
                let name = function["name"].as_str().unwrap_or_default();
                if name != "bash" {
                    error += &format!("Unknown tool '{name}'.");
                }
                match arguments.get("command") {
                    Some(command) if error.is_empty() => {
                        let id = call["id"].as_str().map(str::to_string);
                        return Ok(Call { act: self.act(command), id, tool: name.to_string() });
                    }
                    Some(_) => {}
                    None => error += "Missing 'command' argument in bash tool call.",
                }
                Err(error.trim().to_string())
            })
            .collect()
    }

    /// A script; anything else is no fault of the form, but of an execution that Python refuses.
    fn act(&self, command: &Value) -> Act {
        if let Value::String(script) = command {
            return Act::Script(script.clone());
        }
        let what = type_name(command);
        let why = format!("expected str, bytes or os.PathLike object, not {what}");
        let why = format!("An error occurred while executing the command: {why}");
        let values = json!({"output": {"output": "", "returncode": -1, "exception_info": why}});
        Act::Say(self.render(&self.config.observation, values))
    }

    /// The actions in the text of a reply.
    fn in_text(&self, text: &str) -> Vec<String> {
        let Some(regex) = &self.config.action else { return Vec::new() };
        let group = |c: regex::Captures<'_>| c.get(1).or(c.get(0)).map(|m| m.as_str().trim().to_string());
        regex.captures_iter(text).filter_map(group).collect()
    }
}

impl Harness for Mini {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limits(&self) -> Limits {
        Limits {
            turns: if self.config.step_limit == 0 { UNLIMITED } else { self.config.step_limit },
            total_tokens: UNLIMITED,
            reserve_tokens: 0,
            turn_tokens: UNLIMITED,
            action_time: Duration::from_secs(self.config.action_seconds),
        }
    }

    fn opening(&self, instance: &Instance, _: &Policy) -> Vec<Message> {
        let task = json!({"task": instance.problem_statement});
        let text = |role: &str, template: &str| Message::new(role, self.render(template, task.clone()));
        vec![text("system", &self.config.system), text("user", &self.config.instance)]
    }

    fn tools(&self, _: &Policy) -> Option<Value> {
        let command = json!({"type": "string", "description": "The bash command to execute"});
        let parameters =
            json!({"type": "object", "properties": {"command": command}, "required": ["command"]});
        let bash = json!({"name": "bash", "description": "Execute a bash command", "parameters": parameters});
        self.config.action.is_none().then(|| json!([{"type": "function", "function": bash}]))
    }

    fn request(&self) -> Map<String, Value> {
        self.config.request.clone()
    }

    fn calls(&self, reply: &Message) -> Vec<Call> {
        if self.config.action.is_none() {
            return self.tool_calls(reply).unwrap_or_default();
        }
        let mut actions = self.in_text(&reply.content);
        match (actions.pop(), actions.is_empty()) {
            (Some(script), true) => vec![Call::script(script)],
            _ => Vec::new(),
        }
    }

    fn no_call(&self, reply: &Message, finish_reason: &str, in_a_row: u64) -> NoCall {
        let values = if self.config.action.is_none() {
            let error = self.tool_calls(reply).err().unwrap_or_default();
            let has_calls =
                reply.tool_calls.as_ref().and_then(Value::as_array).is_some_and(|c| !c.is_empty());
            self.fault(&[], &error, finish_reason, has_calls)
        } else {
            let actions = self.in_text(&reply.content);
            let error = format!("Expected exactly 1 action, found {}.", actions.len());
            self.fault(&actions, &error, finish_reason, false)
        };
        let most = self.config.max_format_errors;
        let end =
            (0 < most && most <= in_a_row).then(|| (ExitStatus::Incomplete, "RepeatedFormatError".into()));
        NoCall {
            message: Message::new("user", self.render(&self.config.format_error, values)),
            end,
            // v2 finds the fault before it takes the reply.
            keeps_reply: self.generation == Generation::One,
            is_passing: false,
            drops_calls: false,
        }
    }

    fn observation(&self, call: &Call, seen: &Observation) -> Message {
        let output = output::text(seen);
        let timed_out = seen.outcome == Outcome::TimedOut;
        let seconds = self.config.action_seconds;
        let content = match (self.generation, timed_out) {
            (Generation::One, true) => {
                let values = json!({"action": {"action": call.text()}, "output": output});
                self.render(&self.config.timeout, values)
            }
            (Generation::One, false) => {
                let values = json!({"output": {"output": output, "returncode": seen.exit_code}});
                self.render(&self.config.observation, values)
            }
            (Generation::Two, _) => {
                let script = call.text();
                let why = format!("Command '{script}' timed out after {seconds} seconds");
                let why = if timed_out {
                    format!("An error occurred while executing the command: {why}")
                } else {
                    String::new()
                };
                let code = if timed_out { -1 } else { seen.exit_code };
                let values = json!({"output": {"output": output, "returncode": code, "exception_info": why}});
                self.render(&self.config.observation, values)
            }
        };
        call.answer(&content)
    }

    fn submission(&self, seen: &Observation) -> Option<String> {
        if seen.exit_code != 0 || seen.outcome != Outcome::Exited {
            return None;
        }
        let output = output::text(seen);
        let (first, rest) = output::first_line(output.trim_start());
        let sentinels: &[&str] = match self.generation {
            Generation::One => &["MINI_SWE_AGENT_FINAL_OUTPUT", "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"],
            Generation::Two => &["COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"],
        };
        sentinels.contains(&first.trim()).then(|| rest.to_string())
    }

    fn workspace(&self) -> &str {
        self.config.cwd.as_deref().unwrap_or("/workspace")
    }

    fn environment(&self, _: &str) -> Vec<(String, String)> {
        self.config.environment.clone()
    }

    fn merges_output(&self) -> bool {
        true
    }

    /// The second generation sends a reply back as it came; the first one an empty text.
    fn keeps_null(&self) -> bool {
        self.generation == Generation::Two
    }
}

/// What templates know of the machine (Python's `platform.uname`).
fn uname() -> [(&'static str, String); 5] {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    [
        ("system", text(name.sysname())),
        ("node", "sbx".into()),
        ("release", text(name.release())),
        ("version", text(name.version())),
        ("machine", text(name.machine())),
    ]
}

#[cfg(test)]
mod tests;
