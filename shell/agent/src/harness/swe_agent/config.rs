//! A YAML configuration of SWE-agent: templates, tools and history.

use super::faults;
use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a reply is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parser {
    /// One tool call.
    FunctionCalling,
    /// The last block between three backticks.
    ThoughtAction,
    /// `<command>…</command>`.
    XmlThoughtAction,
    /// `<function=…>` in the text.
    XmlFunctionCalling,
    /// As `ThoughtAction`, with other words for a fault.
    EditFormat,
    /// All of the text, which begins with a tool's name.
    Action,
    /// All of the text.
    ActionOnly,
    /// All of the text.
    Identity,
    /// A JSON object with a thought and a command.
    Json,
    /// The blocks of bash, one after the other.
    AllBashBlocks,
    /// The one block of bash.
    SingleBashBlock,
}

/// Every grammar by SWE-agent's name for it.
const PARSERS: [(&str, Parser); 11] = [
    ("action", Parser::Action),
    ("action_only", Parser::ActionOnly),
    ("all_bash_code_blocks", Parser::AllBashBlocks),
    ("edit_format", Parser::EditFormat),
    ("function_calling", Parser::FunctionCalling),
    ("identity", Parser::Identity),
    ("json", Parser::Json),
    ("single_bash_code_block", Parser::SingleBashBlock),
    ("thought_action", Parser::ThoughtAction),
    ("xml_function_calling", Parser::XmlFunctionCalling),
    ("xml_thought_action", Parser::XmlThoughtAction),
];

impl Parser {
    pub(super) fn is_native(self) -> bool {
        self == Parser::FunctionCalling
    }
}

/// What a configuration says.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub templates: Templates,
    pub parser: Parser,
    pub format_error: String,
    /// Faulty replies in a row; the rollout ends with the last.
    pub max_requeries: u64,
    pub action_seconds: u64,
    pub max_timeouts: u64,
    pub filter: Filter,
    /// What follows the first submissions.
    pub reviews: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Observations that stay whole, and how many become old at once.
    pub last_observations: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(super) struct Templates {
    pub system: String,
    pub instance: String,
    pub next_step: String,
    pub truncated: String,
    pub no_output: String,
    pub syntax: String,
    pub timeout: String,
    pub max_observation: usize,
}

/// Scripts that are not run.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub message: String,
    prefixes: Vec<String>,
    alone: Vec<String>,
    unless: Vec<(String, Regex)>,
}

impl Filter {
    pub(super) fn blocks(&self, script: &str) -> bool {
        let script = script.trim();
        let Some(name) = script.split_whitespace().next() else { return false };
        self.prefixes.iter().any(|p| {
            script == p || script.strip_prefix(p).is_some_and(|rest| rest.starts_with([' ', '\n', '\t']))
        }) || self.alone.iter().any(|a| script == a)
            || self.unless.iter().any(|(own, regex)| own == name && !regex.is_match(script))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    agent: Agent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Agent {
    templates: BTreeMap<String, serde_yaml_ng::Value>,
    tools: Tools,
    history_processors: Vec<Processor>,
    max_requeries: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Tools {
    execution_timeout: Option<u64>,
    max_consecutive_execution_timeouts: Option<u64>,
    filter: FilterFile,
    registry_variables: Registry,
    env_variables: BTreeMap<String, serde_yaml_ng::Value>,
    parse_function: Function,
    format_error_template: Option<String>,
}

impl Default for Tools {
    fn default() -> Tools {
        let env = ENVIRONMENT.map(|(key, value)| (key.to_string(), value.into()));
        Tools {
            execution_timeout: None,
            max_consecutive_execution_timeouts: None,
            filter: FilterFile::default(),
            registry_variables: Registry::default(),
            env_variables: env.into_iter().collect(),
            parse_function: Function::default(),
            format_error_template: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct FilterFile {
    blocklist_error_template: String,
    blocklist: Vec<String>,
    blocklist_standalone: Vec<String>,
    block_unless_regex: BTreeMap<String, String>,
}

impl Default for FilterFile {
    fn default() -> FilterFile {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_string()).collect();
        FilterFile {
            blocklist_error_template: "Operation '{{action}}' is not supported by this environment.".into(),
            blocklist: owned(&BLOCKED),
            blocklist_standalone: owned(&BLOCKED_ALONE),
            block_unless_regex: ["radare2", "r2"].map(|name| (name.to_string(), RADARE.to_string())).into(),
        }
    }
}

// What SWE-agent 1.1 sets where a configuration does not (`sweagent/tools/tools.py`, `sweagent/agent/agents.py`).
const BLOCKED: [&str; 10] =
    ["vim", "vi", "emacs", "nano", "nohup", "gdb", "less", "tail -f", "python -m venv", "make"];
const BLOCKED_ALONE: [&str; 13] = [
    "python",
    "python3",
    "ipython",
    "bash",
    "sh",
    "/bin/bash",
    "/bin/sh",
    "nohup",
    "vi",
    "vim",
    "emacs",
    "nano",
    "su",
];
const RADARE: &str = r"\b(?:radare2)\b.*\s+-c\s+.*";
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PAGER", "cat"),
    ("MANPAGER", "cat"),
    ("LESS", "-R"),
    ("PIP_PROGRESS_BAR", "off"),
    ("TQDM_DISABLE", "1"),
    ("GIT_PAGER", "cat"),
];
const TRUNCATED: &str = "Observation: {{observation}}<response clipped><NOTE>Observations should not exceeded \
    {{max_observation_length}} characters. {{elided_chars}} characters were elided. Please try a different command that \
    produces less output or use head/tail/grep/redirect the output to a file. Do not use interactive pagers.</NOTE>";
const SYNTAX: &str = "Your bash command contained syntax errors and was NOT executed. Please fix the syntax errors and try \
    again. This can be the result of not adhering to the syntax for multi-line commands. Here is the output of `bash -n`:\n\
    {{bash_stdout}}\n{{bash_stderr}}";
const TIMEOUT: &str = "The command '{{command}}' was cancelled because it took more than {{timeout}} seconds. Please try a \
    different command that completes more quickly. Note: A common source of this error is if the command is interactive or \
    requires user input (it is impossible to receive user input in the current environment, so the command will never \
    complete).";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Registry {
    #[serde(rename = "SUBMIT_REVIEW_MESSAGES")]
    reviews: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function {
    #[serde(rename = "type")]
    kind: Option<String>,
    error_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Processor {
    #[serde(rename = "type")]
    kind: String,
    n: Option<usize>,
    polling: Option<usize>,
}

/// Seconds of an action where a configuration says none.
const ACTION_SECONDS: u64 = 30;
/// Characters of an observation where a configuration says none.
const MAX_OBSERVATION: u64 = 100_000;

impl Config {
    /// Reads a configuration; `origin` names it in messages. What it does not set is SWE-agent's own.
    pub(super) fn parse(text: &str, origin: &str) -> Result<Config, String> {
        let file: File = serde_yaml_ng::from_str(text).map_err(|e| format!("{origin}: {e}"))?;
        let Agent { templates, tools, history_processors, max_requeries } = file.agent;
        let template = |key: &str, default: Option<&str>| match (templates.get(key), default) {
            (Some(serde_yaml_ng::Value::String(text)), _) => Ok(text.clone()),
            (Some(other), _) => {
                Err(format!("{origin}: agent.templates.{key}: expected a text, found {other:?}"))
            }
            (None, Some(default)) => Ok(default.to_string()),
            (None, None) => {
                Err(format!("{origin}: agent.templates.{key}: expected a text, found no such key"))
            }
        };
        let next_step = template("next_step_template", Some("Observation: {{observation}}"))?;
        let most = templates.get("max_observation_length").and_then(serde_yaml_ng::Value::as_u64);
        let filter = tools.filter;
        let unless = filter.block_unless_regex.into_iter().map(|(name, regex)| {
            let regex =
                Regex::new(&regex).map_err(|e| format!("{origin}: block_unless_regex.{name}: {e}"))?;
            Ok((name, regex))
        });
        let kind = tools.parse_function.kind.as_deref().unwrap_or("function_calling");
        let parser = PARSERS.iter().find(|(name, _)| *name == kind).map(|(_, parser)| *parser);
        let parser = parser.ok_or_else(|| {
            let names = PARSERS.map(|(name, _)| name).join(", ");
            format!("{origin}: tools.parse_function.type: expected one of {names}, found {kind:?}")
        })?;
        let last = history_processors.iter().find(|p| p.kind == "last_n_observations");
        Ok(Config {
            templates: Templates {
                system: template("system_template", Some(""))?,
                instance: template("instance_template", None)?,
                truncated: template("next_step_truncated_observation_template", Some(TRUNCATED))?,
                no_output: template("next_step_no_output_template", Some(&next_step))?,
                syntax: template("shell_check_error_template", Some(SYNTAX))?,
                timeout: template("command_cancelled_timeout_template", Some(TIMEOUT))?,
                max_observation: usize::try_from(most.unwrap_or(MAX_OBSERVATION)).unwrap_or(usize::MAX),
                next_step,
            },
            parser,
            format_error: tools
                .format_error_template
                .or(tools.parse_function.error_message)
                .unwrap_or_else(|| faults::template(parser).into()),
            max_requeries: max_requeries.unwrap_or(3),
            action_seconds: tools.execution_timeout.unwrap_or(ACTION_SECONDS).max(1),
            max_timeouts: tools.max_consecutive_execution_timeouts.unwrap_or(3),
            filter: Filter {
                message: filter.blocklist_error_template,
                prefixes: filter.blocklist,
                alone: filter.blocklist_standalone,
                unless: unless.collect::<Result<_, String>>()?,
            },
            reviews: tools.registry_variables.reviews,
            environment: tools.env_variables.into_iter().map(|(k, v)| (k, plain(&v))).collect(),
            last_observations: last.map(|p| (p.n.unwrap_or(5), p.polling.unwrap_or(1).max(1))),
        })
    }
}

/// A value as the shell would have it.
fn plain(value: &serde_yaml_ng::Value) -> String {
    match value {
        serde_yaml_ng::Value::String(text) => text.clone(),
        other => serde_yaml_ng::to_string(other).unwrap_or_default().trim().to_string(),
    }
}
