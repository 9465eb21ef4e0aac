//! SWE-agent 1.x: bash, a file editor and `submit`, by a configuration of its own form. Actions run in one bash, so that
//! variables and directory stay.
//!
//! What is different from the original: costs are not known here, the editor needs no Python in the sandbox, and lines end
//! with `\n`, where the original's terminal ends them with `\r\n`.

mod config;
mod faults;
mod parse;

pub(crate) use parse::editor_line;

use super::{Call, Harness, Limits, NoCall, Submit, UNLIMITED};
use crate::editor::Style;
use config::Config;
use faults::Fault;
use minijinja::{Environment, UndefinedBehavior};
use sbx_records::{ExitStatus, Instance, Message};
use sbx_runtime::{Observation, Outcome, Policy};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

const DEFAULT: &str = include_str!("swe_agent/default.yaml");
const TOOLS: &str = include_str!("swe_agent/tools.json");
/// Steps of the published runs.
const STEPS: u64 = 75;

/// SWE-agent by a configuration.
#[derive(Debug)]
pub(super) struct SweAgent {
    config: Config,
}

impl SweAgent {
    /// Reads a configuration, and tries its templates, so that a mistake shows before the run.
    pub(super) fn new(config: Option<(&str, &str)>) -> Result<SweAgent, String> {
        let (text, origin) = config.unwrap_or((DEFAULT, "default.yaml"));
        let agent = SweAgent { config: Config::parse(text, origin)? };
        let templates = &agent.config.templates;
        let task = json!({"working_dir": "", "problem_statement": ""});
        let tries = [
            ("system_template", &templates.system, json!({})),
            ("instance_template", &templates.instance, task),
            ("next_step_template", &templates.next_step, json!({"observation": ""})),
            ("next_step_no_output_template", &templates.no_output, json!({})),
        ];
        for (key, template, values) in tries {
            agent.try_render(template, values).map_err(|e| format!("{origin}: {key}: {e:#}"))?;
        }
        Ok(agent)
    }

    fn try_render(&self, template: &str, values: Value) -> Result<String, minijinja::Error> {
        let mut jinja = Environment::new();
        jinja.set_undefined_behavior(UndefinedBehavior::Lenient);
        jinja.render_str(template, minijinja::Value::from(minijinja::value::Serde(&values)))
    }

    fn render(&self, template: &str, values: Value) -> String {
        self.try_render(template, values).unwrap_or_else(|e| format!("the template failed: {e:#}"))
    }

    /// What the model reads of an output.
    fn shown(&self, observation: &str) -> String {
        let templates = &self.config.templates;
        if observation.trim().is_empty() {
            return self.render(&templates.no_output, json!({}));
        }
        let length = observation.chars().count();
        let most = templates.max_observation;
        if length > most {
            let kept: String = observation.chars().take(most).collect();
            let values =
                json!({"observation": kept, "elided_chars": length - most, "max_observation_length": most});
            return self.render(&templates.truncated, values);
        }
        self.render(&templates.next_step, json!({"observation": observation}))
    }
}

impl Harness for SweAgent {
    fn name(&self) -> &'static str {
        "swe-agent"
    }

    fn limits(&self) -> Limits {
        Limits {
            turns: STEPS,
            total_tokens: UNLIMITED,
            reserve_tokens: 0,
            turn_tokens: UNLIMITED,
            action_time: Duration::from_secs(self.config.action_seconds),
        }
    }

    fn opening(&self, instance: &Instance, _: &Policy) -> Vec<Message> {
        let values = json!({
            "working_dir": self.workspace(),
            "problem_statement": instance.problem_statement,
            "instance_id": instance.instance_id,
            "repo": instance.repo,
            "base_commit": instance.base_commit,
        });
        let templates = &self.config.templates;
        vec![
            Message::new("system", self.render(&templates.system, values.clone())),
            Message::new("user", self.render(&templates.instance, values)),
        ]
    }

    fn tools(&self, _: &Policy) -> Option<Value> {
        self.config.parser.is_native().then(|| serde_json::from_str(TOOLS).unwrap_or_default())
    }

    fn calls(&self, reply: &Message) -> Vec<Call> {
        parse::call(self.config.parser, reply).into_iter().collect()
    }

    fn no_call(&self, reply: &Message, _: &str, in_a_row: u64) -> NoCall {
        let fault = parse::call(self.config.parser, reply).err();
        let Fault { code, why } = fault.unwrap_or_else(|| Fault::plain(""));
        let text =
            self.render(&self.config.format_error, json!({"error_code": code, "exception_message": why}));
        let end = (in_a_row >= self.config.max_requeries).then(|| (ExitStatus::Other, "exit_format".into()));
        NoCall {
            message: Message::new("user", text),
            end,
            keeps_reply: true,
            is_passing: true,
            drops_calls: false,
        }
    }

    fn observation(&self, call: &Call, seen: &Observation) -> Message {
        let text = if seen.outcome == Outcome::TimedOut {
            let values = json!({"command": call.text().trim(), "timeout": self.config.action_seconds});
            self.render(&self.config.templates.timeout, values)
        } else {
            let mut text = seen.stdout.text();
            text.push_str(&seen.stderr.text());
            // The original's runtime hands outputs on without the blanks around them.
            text.trim().to_string()
        };
        call.answer(&self.shown(&text))
    }

    fn said(&self, call: &Call, _: &str, text: &str) -> Message {
        call.answer(&self.shown(text.trim()))
    }

    /// No output of a script ends the rollout; only `submit` does.
    fn submission(&self, _: &Observation) -> Option<String> {
        None
    }

    fn submit(&self, call: &Call, patch: &str, problem: &str, earlier: u64) -> Submit {
        let review = usize::try_from(earlier).ok().and_then(|n| self.config.reviews.get(n));
        match review {
            Some(review) => {
                let text = review.replace("{{diff}}", patch).replace("{{problem_statement}}", problem);
                Submit::Review(call.answer(&self.shown(text.trim_end_matches('\n'))))
            }
            None => {
                Submit::Done { submission: patch.to_string(), observation: call.answer(&self.shown(patch)) }
            }
        }
    }

    fn workspace(&self) -> &str {
        "/testbed"
    }

    fn environment(&self, _: &str) -> Vec<(String, String)> {
        self.config.environment.clone()
    }

    fn keeps_shell(&self) -> bool {
        true
    }

    fn editor(&self) -> Option<Style> {
        Some(Style::SweAgent)
    }

    fn blocks(&self, script: &str) -> Option<String> {
        let blocked = self.config.filter.blocks(script);
        blocked.then(|| self.render(&self.config.filter.message, json!({"action": script})))
    }

    fn syntax_fault(&self, said: &str) -> Option<String> {
        let values = json!({"bash_stdout": "", "bash_stderr": said});
        Some(self.render(&self.config.templates.syntax, values))
    }

    fn most_faults(&self) -> u64 {
        self.config.max_requeries
    }

    fn most_timeouts(&self) -> u64 {
        self.config.max_timeouts
    }

    /// Older observations become a line that tells how long they were.
    fn trimmed<'a>(&self, messages: &'a [Message]) -> Cow<'a, [Message]> {
        let Some((kept, polling)) = self.config.last_observations else { return Cow::Borrowed(messages) };
        // The task counts as the first observation, and always stays.
        let is_seen = |(_, m): &(usize, &Message)| m.role == "user" || m.role == "tool";
        let seen: Vec<usize> = messages.iter().enumerate().filter(is_seen).map(|(at, _)| at).collect();
        let last = (seen.len() / polling * polling).saturating_sub(kept);
        if last <= 1 {
            return Cow::Borrowed(messages);
        }
        let mut all = messages.to_vec();
        for at in &seen[1..last] {
            let lines = all[*at].content.lines().count();
            all[*at].content = format!("Old environment output: ({lines} lines omitted)");
        }
        Cow::Owned(all)
    }
}

#[cfg(test)]
mod tests;
