//! Recorded actions again, under any policy: what is refused, and what comes out differently.

use crate::editor::{Edit, Editor, Style};
use crate::hands::Kind;
use crate::hands::files::InSandbox;
use sbx_bash::{Script, Shell, Verdict, judge, outside};
use sbx_records::{Acted, Recording, Seen};
use sbx_runtime::{Action, Denied, Observation, Outcome, Policy, Workspace};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NOT_FOUND: i32 = 127;
const DENIED: i32 = 126;
/// Bytes of an output that a finding quotes at most.
const MAX_QUOTE: usize = 400;

/// What became of a recorded action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The policy refuses it, or it needs a program that the policy does not have.
    Refused,
    /// It ran, and its status or output is another than the recorded one.
    Differs,
    /// It ran, and was as recorded.
    Same,
    /// It ran, but nothing was recorded to compare with.
    Unrecorded,
    /// Nothing in it would be refused; it was only read, not run.
    Allowed,
    /// A tool of the original harness, no script.
    Tool,
}

/// A recorded action, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Where the recording came from.
    pub origin: String,
    /// Which of its actions, from 0.
    pub step: usize,
    /// The script.
    pub action: String,
    /// What became of it.
    pub fate: Fate,
    /// What was refused, by which line of the policy, and what is allowed instead.
    pub denied: Vec<Denied>,
    /// Exit status that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_exit_code: Option<i32>,
    /// Whether it had been refused when it was recorded already, or was not found.
    #[serde(skip)]
    pub was_refused: bool,
    /// Exit status now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The first lines of the outputs that differ: recorded, and now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<(String, String)>,
}

/// What became of many recordings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayReport {
    /// Recordings.
    pub recordings: u64,
    /// Recorded actions by what became of them.
    pub actions: BTreeMap<Fate, u64>,
    /// Recordings in which nothing is refused.
    pub whole: u64,
    /// Refused actions that had worked: false refusals, if the policy is meant to allow the recorded work.
    pub refused_that_worked: u64,
    /// By program: actions that use it, those refused because of it, and those that came out differently.
    pub programs: BTreeMap<String, ProgramCount>,
}

/// Actions of one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProgramCount {
    /// Actions that use it.
    pub used: u64,
    /// Actions refused because of it.
    pub refused: u64,
    /// Actions with it that came out differently.
    pub differs: u64,
}

/// Reads a recording's scripts without running them: what of them would the policy refuse?
pub fn judge_recording(policy: &Policy, recording: &Recording) -> Vec<Finding> {
    let steps = recording.steps.iter().enumerate();
    let findings = steps.map(|(n, step)| {
        let mut finding = finding(recording, n);
        if let Acted::Script(script) = &step.action {
            finding.denied = denied(policy, script);
            finding.fate = if finding.denied.is_empty() { Fate::Allowed } else { Fate::Refused };
        }
        finding
    });
    findings.collect()
}

/// Runs a recording's scripts and edits one after the other in a sandbox of their own; other tools of the original harness are
/// not run.
///
/// # Errors
/// The sandbox cannot be built, or fails.
pub fn replay(
    policy: &Policy,
    workspace: Workspace,
    recording: &Recording,
    time: Duration,
) -> Result<Vec<Finding>, sbx_runtime::Error> {
    let mut shell = Kind::Each(Box::new(Shell::open(policy, workspace)?));
    let mut editor = Editor::new(Style::SweAgent);
    let mut findings = Vec::new();
    for (n, step) in recording.steps.iter().enumerate() {
        let mut finding = finding(recording, n);
        match (&step.action, &mut shell) {
            (Acted::Script(script), Kind::Each(shell)) => {
                // Harnesses record both outputs as one.
                let seen = shell.act(&Action::bash(script).time(time).merged())?;
                compare(&mut finding, policy, script, step.seen.as_ref(), &seen);
            }
            (Acted::Tool { name, arguments, text }, shell) => {
                if let Some(edit) = edit(name, arguments, text) {
                    let mut files = InSandbox { shell, broken: None };
                    let said = editor.run(&edit, &mut files);
                    compare_edit(&mut finding, step.seen.as_ref(), &said);
                }
            }
            (Acted::Script(_), Kind::One(_)) => {}
        }
        findings.push(finding);
    }
    Ok(findings)
}

fn finding(recording: &Recording, n: usize) -> Finding {
    let step = &recording.steps[n];
    Finding {
        origin: recording.origin.clone(),
        step: n,
        action: step.action.text().to_string(),
        fate: Fate::Tool,
        denied: Vec::new(),
        recorded_exit_code: step.seen.as_ref().and_then(|s| s.exit_code),
        was_refused: step.seen.as_ref().is_some_and(was_refused),
        exit_code: None,
        output: None,
    }
}

/// Whether an action had not been done when it was recorded. Without an exit status bash's words tell, or ours.
fn was_refused(seen: &Seen) -> bool {
    let ends = |line: &str| line.ends_with(": command not found") || line.ends_with(": Permission denied");
    let told = |line: &str| line.contains("bash: ") && ends(line) || line.starts_with("sbx: refused: ");
    match seen.exit_code {
        Some(code) => code == NOT_FOUND || code == DENIED,
        None => seen.output.lines().any(told),
    }
}

fn denied(policy: &Policy, script: &str) -> Vec<Denied> {
    let mut denied = outside(policy, script);
    if let Verdict::Refused { rule, because, command } = judge(policy, script) {
        denied.push(Denied { what: command, rule: format!("refuse: {rule}"), hint: because });
    }
    denied
}

fn compare(finding: &mut Finding, policy: &Policy, script: &str, recorded: Option<&Seen>, now: &Observation) {
    finding.exit_code = Some(now.exit_code);
    finding.denied = now.denied.clone();
    let newly = |code| now.exit_code == code && finding.recorded_exit_code != Some(code);
    if finding.denied.is_empty() && (newly(NOT_FOUND) || newly(DENIED)) {
        finding.denied = denied(policy, script);
    }
    if now.outcome == Outcome::Refused || !finding.denied.is_empty() {
        finding.fate = Fate::Refused;
        return;
    }
    let Some(recorded) = recorded else {
        finding.fate = Fate::Unrecorded;
        return;
    };
    let output = now.stdout.text();
    let same_code = recorded.exit_code.is_none_or(|code| code == now.exit_code);
    let same_output = recorded.is_cut || lines(&recorded.output).eq(lines(&output));
    finding.fate = if same_code && same_output { Fate::Same } else { Fate::Differs };
    if !same_output {
        finding.output = Some((quote(&recorded.output), quote(&output)));
    }
}

/// The edit that a tool's call asks for, if it is one of the editor's.
fn edit(name: &str, arguments: &Value, text: &str) -> Option<Edit> {
    // OpenHands calls its events `edit` and `read`, and keeps the tool's arguments in them, with others.
    let keys = ["command", "path", "file_text", "old_str", "new_str", "insert_line", "view_range"];
    match name {
        "str_replace_editor" if arguments.get("line").is_some() => crate::harness::editor_line(text),
        "str_replace_editor" => Edit::parse(arguments).ok(),
        "edit" | "read" => {
            let mut own: Map<String, Value> = arguments
                .as_object()?
                .iter()
                .filter(|(key, value)| keys.contains(&key.as_str()) && !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            own.entry("command").or_insert_with(|| "view".into());
            Edit::parse(&Value::Object(own)).ok()
        }
        _ => None,
    }
}

fn compare_edit(finding: &mut Finding, recorded: Option<&Seen>, said: &str) {
    finding.fate = match recorded {
        None => Fate::Unrecorded,
        Some(recorded) if recorded.is_cut || lines(&recorded.output).eq(lines(said)) => Fate::Same,
        Some(recorded) => {
            finding.output = Some((quote(&recorded.output), quote(said)));
            Fate::Differs
        }
    };
}

/// The lines of an output, without the blanks at their ends and the empty lines around them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim().lines().map(str::trim_end)
}

fn quote(text: &str) -> String {
    let mut end = text.len().min(MAX_QUOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

impl ReplayReport {
    /// Takes a recording's findings into account.
    pub fn add(&mut self, findings: &[Finding]) {
        self.recordings += 1;
        self.whole += u64::from(findings.iter().all(|f| f.fate != Fate::Refused));
        for finding in findings {
            *self.actions.entry(finding.fate).or_default() += 1;
            if finding.fate == Fate::Tool {
                continue;
            }
            let refused = finding.fate == Fate::Refused;
            self.refused_that_worked += u64::from(refused && !finding.was_refused);
            let mut programs = programs(&finding.action);
            let guilty: BTreeSet<String> = finding
                .denied
                .iter()
                .filter_map(|d| Some(d.what.split_whitespace().next()?.to_string()))
                .collect();
            programs.extend(guilty.iter().cloned());
            for program in programs {
                let is_guilty = guilty.contains(&program);
                let count = self.programs.entry(program).or_default();
                count.used += 1;
                count.refused += u64::from(is_guilty);
                count.differs += u64::from(finding.fate == Fate::Differs);
            }
        }
    }

    /// Scripts: actions that are no tools.
    pub fn scripts(&self) -> u64 {
        self.actions.iter().filter(|(fate, _)| **fate != Fate::Tool).map(|(_, n)| n).sum()
    }

    /// Actions of one fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.actions.get(&fate).copied().unwrap_or(0)
    }
}

/// The programs of a script, each once; none when it cannot be read.
fn programs(script: &str) -> BTreeSet<String> {
    let Ok(script) = Script::read(script) else { return BTreeSet::new() };
    let names = script.calls.iter().filter_map(|c| c.program().filter(|p| !p.is_empty()).map(str::to_string));
    names.filter(|name| !script.functions.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_records::recording;
    use serde_json::json;

    fn recorded(pairs: &[(&str, &str, i32)]) -> Recording {
        let messages: Vec<_> = pairs
            .iter()
            .flat_map(|(script, output, code)| {
                [
                    json!({"role": "assistant", "content": format!("```bash\n{script}\n```")}),
                    json!({"role": "user", "content": format!("<returncode>{code}</returncode>\n<output>\n{output}\n</output>")}),
                ]
            })
            .collect();
        recording(json!({ "messages": messages }), "t".into()).unwrap()
    }

    #[test]
    fn recorded_actions_are_run_again_and_compared() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "one\n").unwrap();
        let recording = recorded(&[
            ("cat f", "one", 0),
            ("sed -i s/one/two/ f; cat f", "one", 0),
            ("cat f", "two", 0),
            ("python3 -V", "Python 3.11", 0),
            ("nosuch", "bash: nosuch: command not found", 127),
            ("git push", "", 0),
        ]);
        let policy = Policy::preset("whitelist").unwrap();
        let found = replay(&policy, Workspace::new(dir.path()), &recording, Duration::from_secs(20)).unwrap();
        let fates: Vec<_> = found.iter().map(|f| f.fate).collect();
        assert_eq!(
            fates,
            [Fate::Same, Fate::Differs, Fate::Same, Fate::Refused, Fate::Refused, Fate::Refused]
        );
        assert_eq!(found[1].output, Some(("one".into(), "two\n".into())));
        let mut report = ReplayReport::default();
        report.add(&found);
        assert_eq!((report.scripts(), report.refused_that_worked, report.whole), (6, 2, 0));
        assert_eq!(report.programs["python3"], ProgramCount { used: 1, refused: 1, differs: 0 });
        assert_eq!(report.programs["cat"], ProgramCount { used: 3, refused: 0, differs: 1 });
        assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "one\n");
    }

    #[test]
    fn edits_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "one\n").unwrap();
        let value = json!({"trajectory": [
            {"action": "str_replace_editor str_replace /testbed/f --old_str 'one' --new_str 'two'",
             "observation": "The file /testbed/f has been edited. Here's the result of running `cat -n` on a snippet of /testbed/f:\r\n     1\ttwo\r\nReview the changes and make sure they are as expected. Edit the file again if necessary."},
            {"action": "cat f", "observation": "two"},
            {"action": "submit", "observation": ""},
        ]});
        let recording = recording(value, "t".into()).unwrap();
        let policy = Policy::preset("whitelist").unwrap();
        let workspace = Workspace::new(dir.path()).at("/testbed");
        let found = replay(&policy, workspace, &recording, Duration::from_secs(20)).unwrap();
        let fates: Vec<_> = found.iter().map(|f| f.fate).collect();
        assert_eq!(fates, [Fate::Same, Fate::Same, Fate::Tool], "{found:#?}");
    }

    #[test]
    fn what_was_refused_before_had_not_worked() {
        let policy = Policy::preset("whitelist").unwrap();
        let answers = [
            "Observation: \nbash: line 1: python: command not found",
            "Observation: \nsbx: refused: python",
            "<returncode>126</returncode><output>no</output>",
            "Observation: a: command not found",
            "<returncode>1</returncode><output>bash: python: command not found</output>",
        ];
        let messages: Vec<_> = answers
            .iter()
            .flat_map(|answer| {
                [
                    json!({"role": "assistant", "content": "```bash\npython x\n```"}),
                    json!({"role": "user", "content": answer}),
                ]
            })
            .collect();
        let found =
            judge_recording(&policy, &recording(json!({ "messages": messages }), "t".into()).unwrap());
        let mut report = ReplayReport::default();
        report.add(&found);
        assert_eq!((report.count(Fate::Refused), report.refused_that_worked), (5, 2));
    }

    #[test]
    fn reading_alone_finds_what_would_be_refused() {
        let policy = Policy::preset("whitelist").unwrap();
        let found =
            judge_recording(&policy, &recorded(&[("ls | wc -l", "3", 0), ("cd x && pytest -q", "", 0)]));
        assert_eq!(found.iter().map(|f| f.fate).collect::<Vec<_>>(), [Fate::Allowed, Fate::Refused]);
        assert_eq!(found[1].denied[0].what, "pytest");
    }
}
