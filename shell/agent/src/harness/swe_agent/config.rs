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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tools {
    execution_timeout: Option<u64>,
    max_consecutive_execution_timeouts: Option<u64>,
    filter: Option<FilterFile>,
    registry_variables: Registry,
    env_variables: BTreeMap<String, serde_yaml_ng::Value>,
    parse_function: Function,
    format_error_template: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FilterFile {
    blocklist_error_template: Option<String>,
    blocklist: Vec<String>,
    blocklist_standalone: Vec<String>,
    block_unless_regex: BTreeMap<String, String>,
}

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
        let filter = tools.filter.unwrap_or_default();
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
                truncated: template("next_step_truncated_observation_template", Some(&next_step))?,
                no_output: template("next_step_no_output_template", Some(&next_step))?,
                syntax: template("shell_check_error_template", Some("{{bash_stderr}}"))?,
                timeout: template(
                    "command_cancelled_timeout_template",
                    Some(
                        "The command '{{command}}' was cancelled because it took more than {{timeout}} seconds.",
                    ),
                )?,
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
                message: filter
                    .blocklist_error_template
                    .unwrap_or_else(|| "Operation '{{action}}' is not supported by this environment.".into()),
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
