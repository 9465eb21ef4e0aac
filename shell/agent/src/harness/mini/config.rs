//! A YAML configuration of mini-swe-agent: its three sections, with the defaults of its classes.

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Largest configuration file, in bytes.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// `DefaultAgent`'s time-out template in v1.17.5; its configurations do not set it.
const TIMEOUT: &str = "The last command <command>{{action['action']}}</command> timed out and has been killed.\n\
    The output of the command was:\n{% if output | length < 10000 -%}\n<output>\n{{output}}\n</output>\n{%- else -%}\n\
    <warning>Output was too long and has been truncated.</warning>\n<output_head>\n{{ output[:5000] }}\n</output_head>\n\
    <elided_chars>{{ output | length - 10000 }} characters elided</elided_chars>\n<output_tail>\n{{ output[-5000:] }}\n\
    </output_tail>\n{%- endif %}\nPlease try another command and make sure to avoid those requiring interactive input.";
const INSTANCE: &str = "Your task: {{task}}. Please reply with a single shell command in triple backticks. To finish, the \
    first line of the output of the shell command must be 'COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT'.";
const OBSERVATION_V2: &str = "{% if output.exception_info %}<exception>{{output.exception_info}}</exception>\n{% endif %}\
    <returncode>{{output.returncode}}</returncode>\n<output>\n{{output.output}}</output>";

/// Which of the two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// v1: one action in the text of a reply.
    One,
    /// v2: tool calls, or one action in the text.
    Two,
}

/// The sections as they were written. Keys that only other parts of mini-swe-agent know are kept: templates may use them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    agent: Map<String, Value>,
    environment: Map<String, Value>,
    model: Map<String, Value>,
}

/// How the second generation's text form begins an action.
const FENCE_V2: &str = "```mswea_bash_command";

/// What a configuration says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub system: String,
    pub instance: String,
    pub observation: String,
    pub format_error: String,
    /// v1 only; v2 tells in its observation.
    pub timeout: String,
    /// `None` when actions are tool calls.
    pub action: Option<Regex>,
    /// Replies; 0 is no limit.
    pub step_limit: u64,
    /// Format errors in a row that end the rollout; 0 is no limit.
    pub max_format_errors: u64,
    /// Seconds of an action.
    pub action_seconds: u64,
    /// Where the agent works, if it says so.
    pub cwd: Option<String>,
    pub environment: Vec<(String, String)>,
    /// Further keys of each request.
    pub request: Map<String, Value>,
    /// What templates may name besides what is passed to them.
    pub variables: Map<String, Value>,
}

impl Config {
    /// Reads a configuration; `origin` names it in messages.
    pub(crate) fn parse(text: &str, origin: &str, generation: Generation) -> Result<Config, String> {
        let file: File = serde_yaml_ng::from_str(text).map_err(|e| format!("{origin}: {e}"))?;
        let fault = |key: &str, expected: &str, found: &Value| {
            format!("{origin}: {key}: expected {expected}, found {found}")
        };
        let text = |section: &str, map: &Map<String, Value>, key: &str, default: &str| match map.get(key) {
            None => Ok(default.to_string()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(fault(&format!("{section}.{key}"), "a text", other)),
        };
        let number = |section: &str, map: &Map<String, Value>, key: &str, default: u64| match map.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .or_else(|| value.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
                .ok_or_else(|| fault(&format!("{section}.{key}"), "a number that is not negative", value)),
        };
        let (agent, model) = (&file.agent, &file.model);
        let is_one = generation == Generation::One;
        let in_text = is_one
            || ["textbased", "text_based"].iter().any(|kind| {
                model.get("model_class").and_then(Value::as_str).is_some_and(|class| class.contains(kind))
            })
            || model.contains_key("action_regex")
            // `swebench_backticks.yaml` leaves the class to mini-swe-agent's command line; its prompt asks for blocks.
            || ["system_template", "instance_template"].iter().any(|key| {
                agent.get(*key).and_then(Value::as_str).is_some_and(|text| text.contains(FENCE_V2))
            });
        let (section, map) = if is_one { ("agent", agent) } else { ("model", model) };
        let action = if in_text {
            let fence =
                if is_one { r"```bash\s*\n(.*?)\n```" } else { r"```mswea_bash_command\s*\n(.*?)\n```" };
            let regex = text(section, map, "action_regex", fence)?;
            let compiled = Regex::new(&format!("(?s){regex}"));
            Some(compiled.map_err(|e| format!("{origin}: {section}.action_regex: {e}"))?)
        } else {
            None
        };
        let format_error = match (is_one, in_text) {
            (true, _) => "Please always provide EXACTLY ONE action in triple backticks.",
            (_, true) => {
                "Please always provide EXACTLY ONE action in triple backticks, found {{actions|length}} actions."
            }
            (_, false) => "{{ error }}",
        };
        let environment = match file.environment.get("env") {
            None => Vec::new(),
            Some(Value::Object(map)) => map.iter().map(|(k, v)| (k.clone(), plain(v))).collect(),
            Some(other) => return Err(fault("environment.env", "variables", other)),
        };
        let mut request = model.get("model_kwargs").and_then(Value::as_object).cloned().unwrap_or_default();
        // The first is LiteLLM's own; the second is the command line's.
        request.remove("drop_params");
        request.remove("temperature");
        let observation = if is_one {
            text("agent", agent, "action_observation_template", "Observation: {{output}}")?
        } else {
            text("model", model, "observation_template", OBSERVATION_V2)?
        };
        let defaults = json!({"cwd": "", "timeout": 30, "step_limit": 0, "cost_limit": 3.0});
        let mut variables = defaults.as_object().cloned().unwrap_or_default();
        for section in [&file.agent, &file.environment, &file.model] {
            variables.extend(section.clone());
        }
        Ok(Config {
            system: text(
                "agent",
                agent,
                "system_template",
                "You are a helpful assistant that can do anything.",
            )?,
            instance: text("agent", agent, "instance_template", INSTANCE)?,
            observation,
            format_error: text(section, map, "format_error_template", format_error)?,
            timeout: text("agent", agent, "timeout_template", TIMEOUT)?,
            action,
            step_limit: number("agent", agent, "step_limit", 0)?,
            max_format_errors: if is_one {
                0
            } else {
                number("agent", agent, "max_consecutive_format_errors", 3)?
            },
            action_seconds: number("environment", &file.environment, "timeout", 30)?.max(1),
            cwd: (file.environment.get("cwd").and_then(Value::as_str))
                .filter(|cwd| cwd.starts_with('/') && *cwd != "/")
                .map(str::to_string),
            environment,
            request,
            variables,
        })
    }
}

/// A variable's value as its environment has it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_configurations_that_come_with_it_are_read() {
        let one = Config::parse(include_str!("v1.yaml"), "v1", Generation::One).unwrap();
        assert_eq!((one.step_limit, one.action_seconds, one.max_format_errors), (250, 60, 0));
        assert!(one.action.is_some() && one.request.is_empty());
        assert!(one.environment.contains(&("TQDM_DISABLE".into(), "1".into())));
        let two = Config::parse(include_str!("v2.yaml"), "v2", Generation::Two).unwrap();
        assert_eq!((two.step_limit, two.action_seconds, two.max_format_errors), (250, 60, 3));
        assert!(two.action.is_none());
        assert_eq!(two.request["parallel_tool_calls"], true);
    }

    #[test]
    fn a_mistake_is_named_with_file_and_key() {
        for (text, expected) in [
            ("agent: [", "c.yaml: "),
            ("agent:\n  system_template: 3\n", "c.yaml: agent.system_template: expected a text, found 3"),
            ("agent:\n  step_limit: -1\n", "c.yaml: agent.step_limit: expected a number"),
            ("agent:\n  action_regex: '('\n", "c.yaml: agent.action_regex: "),
            ("environment:\n  env: 3\n", "c.yaml: environment.env: expected variables, found 3"),
        ] {
            let error = Config::parse(text, "c.yaml", Generation::One).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
