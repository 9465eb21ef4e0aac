//! The harness of the SWE-ZERO data set: mini-swe-agent v1's conversation with an observation, a parser and a budget of
//! its own. The words of the prompts are ours; the tools that they name come from the policy.
//!
//! Sources: the data set's card, and mini-swe-agent v1.17.5.

use super::{Harness, Limits};
use regex::Regex;
use sbx_records::{Instance, Message};
use sbx_runtime::{Observation, Outcome, Policy};
use std::sync::LazyLock;
use std::time::Duration;

/// Longest observation in characters; a longer one keeps half of this from each end.
const MAX_OBSERVATION: usize = 8000;
/// First lines that end a rollout.
const SENTINELS: [&str; 2] = ["COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "MINI_SWE_AGENT_FINAL_OUTPUT"];
/// Programs that models reach for and that the prompt says are absent, where they are.
const TEMPTING: [&str; 26] = [
    "python", "python3", "pytest", "pip", "ipython", "node", "npm", "cargo", "go", "make", "gcc", "java",
    "ruby", "perl", "bash", "sh", "xargs", "patch", "rg", "jq", "vi", "nano", "curl", "wget", "ssh", "sudo",
];

/// The harness of the SWE-ZERO data set.
pub(super) struct SweZero;

impl Harness for SweZero {
    fn name(&self) -> &'static str {
        "swe-zero"
    }

    fn limits(&self) -> Limits {
        Limits {
            turns: 30,
            total_tokens: 32_768,
            reserve_tokens: 768,
            turn_tokens: 1_024,
            action_time: Duration::from_secs(30),
        }
    }

    fn opening(&self, instance: &Instance, policy: &Policy) -> Vec<Message> {
        vec![Message::new("system", system(policy)), Message::new("user", task(instance))]
    }

    fn action(&self, reply: &str) -> Option<String> {
        static BLOCK: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?s)```bash\s*\n(.*?)\n```").expect("the expression is constant"));
        // A reply with CRLF means the same; bash would read the CR as part of a word.
        let reply = reply.replace("\r\n", "\n");
        BLOCK.captures(&reply).map(|c| c[1].trim().to_string())
    }

    fn no_action(&self) -> String {
        "Please always provide EXACTLY ONE action in triple backticks.".into()
    }

    fn observation(&self, seen: &Observation) -> String {
        format!("Observation: {}", text(seen))
    }

    fn submission(&self, seen: &Observation) -> Option<String> {
        let text = text(seen);
        let text = text.trim_start();
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        SENTINELS.contains(&first.trim()).then(|| rest.to_string())
    }

    fn environment(&self, workspace: &str) -> Vec<(&'static str, String)> {
        vec![
            ("HOME", workspace.into()),
            ("SHELL", "/bin/bash".into()),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("PAGER", "cat".into()),
            ("TERM", "dumb".into()),
            ("REPO_PATH", workspace.into()),
        ]
    }
}

/// stdout, then stderr on a line of its own, bounded, with a note of a time-out.
fn text(seen: &Observation) -> String {
    let mut text = seen.stdout.text();
    let stderr = seen.stderr.text();
    if !stderr.is_empty() {
        text.push('\n');
        text.push_str(&stderr);
    }
    let mut text = bounded(text);
    if seen.outcome == Outcome::TimedOut {
        text.push_str("\n\n[command timed out]");
    }
    text
}

fn bounded(text: String) -> String {
    let length = text.chars().count();
    if length <= MAX_OBSERVATION {
        return text;
    }
    let half = MAX_OBSERVATION / 2;
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let elided = length - MAX_OBSERVATION;
    format!(
        "{}\n\n... (output truncated, {elided} chars elided) ...\n\n{}",
        &text[..at(half)],
        &text[at(length - half)..]
    )
}

fn system(policy: &Policy) -> String {
    let present = policy.commands.join(" ");
    let absent: Vec<_> = TEMPTING.into_iter().filter(|name| !policy.allows_command(name)).collect();
    let execution = if policy.allows_command("python3") {
        "You can run the repository's code with the programs below."
    } else {
        "Nothing of the repository can be executed: no tests, no scripts, no builds. You reason about the code instead."
    };
    format!(
        "You are a software engineer who resolves issues in a repository by reading and editing its files with bash.

Every reply has two parts, in this order:

1. THOUGHT: a few sentences on what you know and what you do next.
2. Exactly one block with one bash command (joined with && or | where that helps):

```bash
your command
```

How this environment works:
- Each command runs in a new bash in the root of the repository. Variables and directories do not carry over: use paths \
relative to the root and no `cd`.
- {execution}
- These programs exist, besides bash's own builtins: {present}.
- These do not exist: {}. Do not try them, nor `bash -c`, `sh -c`, `eval` or `source`.
- There is no network, and no input: a command that waits for input reads its end.
- Begin the block with the command itself, not with a # comment.

How to proceed:
1. Find the code that the issue is about, with grep and find.
2. Read it until you understand the cause.
3. Edit it, with `sed -i` or by writing a file from a heredoc (`cat > file <<'EOF'`).
4. Read the edited lines again, and look at `git diff`.
5. Submit: run a command whose first line of output is {}, such as

```bash
echo {}
```

Your changes in the repository are collected then. You cannot go on after that.",
        absent.join(" "),
        SENTINELS[0],
        SENTINELS[0],
    )
}

fn task(instance: &Instance) -> String {
    let interface = match instance.interface.as_deref().map(str::trim) {
        Some(text) if !text.is_empty() => format!("## Relevant Interface\n\n{text}\n\n"),
        _ => String::new(),
    };
    format!(
        "Please solve this issue in the repository {}.

## Issue

{}

{interface}## Repository Info

- Repo: {}
- Language: {}
- Base commit: {}
- The full repository is checked out as your current working directory; use relative paths.",
        instance.repo,
        instance.problem_statement,
        instance.repo,
        instance.language.as_deref().unwrap_or("unknown"),
        instance.base_commit,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_runtime::Output;

    fn seen(stdout: &str, stderr: &str, outcome: Outcome) -> Observation {
        Observation {
            outcome,
            exit_code: 0,
            stdout: Output::whole(stdout),
            stderr: Output::whole(stderr),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            max_rss_bytes: 0,
            limits_hit: vec![],
            denied: vec![],
            enforced: vec![],
            missing: vec![],
            killed: 0,
        }
    }

    #[test]
    fn the_first_block_is_the_action() {
        for (reply, action) in [
            ("THOUGHT: x\n```bash\nls -la\n```", Some("ls -la")),
            ("```bash\nls\n```\n```bash\npwd\n```", Some("ls")),
            ("```bash  \n\n  ls  \n\n```", Some("ls")),
            ("a\r\n```bash\r\nls\r\npwd\r\n```\r\n", Some("ls\npwd")),
            ("```sh\nls\n```", None),
            ("```\nls\n```", None),
            ("```bash\nls", None),
            ("no block", None),
            ("", None),
            ("```bash\ncat <<'E'\n``x``\nE\n```", Some("cat <<'E'\n``x``\nE")),
        ] {
            assert_eq!(SweZero.action(reply).as_deref(), action, "{reply:?}");
        }
    }

    #[test]
    fn an_observation_keeps_four_thousand_characters_of_each_end() {
        let of = |n: usize| SweZero.observation(&seen(&"é".repeat(n), "", Outcome::Exited));
        assert_eq!(of(7999).chars().count(), 7999 + 13);
        assert_eq!(of(8000), format!("Observation: {}", "é".repeat(8000)));
        let half = "é".repeat(4000);
        assert_eq!(
            of(8001),
            format!("Observation: {half}\n\n... (output truncated, 1 chars elided) ...\n\n{half}")
        );
    }

    #[test]
    fn stderr_follows_stdout_and_a_time_out_is_noted() {
        assert_eq!(SweZero.observation(&seen("a\n", "b\n", Outcome::Exited)), "Observation: a\n\nb\n");
        assert_eq!(SweZero.observation(&seen("", "b", Outcome::Exited)), "Observation: \nb");
        assert_eq!(
            SweZero.observation(&seen("a", "", Outcome::TimedOut)),
            "Observation: a\n\n[command timed out]"
        );
    }

    #[test]
    fn a_sentinel_in_the_first_line_submits_and_elsewhere_does_not() {
        let submission = |text: &str| SweZero.submission(&seen(text, "", Outcome::Exited));
        assert_eq!(submission("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n").as_deref(), Some(""));
        assert_eq!(submission("\n  MINI_SWE_AGENT_FINAL_OUTPUT  \npatch\n").as_deref(), Some("patch\n"));
        assert_eq!(submission("x\nCOMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n"), None);
        assert_eq!(submission("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT now\n"), None);
    }

    #[test]
    fn the_prompt_and_the_policy_agree() {
        for name in ["swe-zero", "whitelist", "python"] {
            let policy = Policy::preset(name).unwrap();
            let prompt = system(&policy);
            let list = |start: &str| {
                let rest = prompt.split_once(start).unwrap().1;
                rest.split_once(['.', '\n']).unwrap().0.split(' ').map(String::from).collect::<Vec<_>>()
            };
            for program in &policy.commands {
                assert!(
                    prompt.contains(&format!(" {program} ")) || prompt.contains(&format!(" {program}.")),
                    "{name}: {program}"
                );
            }
            for program in list("These do not exist: ") {
                assert!(!policy.allows_command(&program), "{name}: {program}");
            }
        }
    }

    #[test]
    fn the_task_has_an_interface_only_when_there_is_one() {
        let row = r#"{"instance_id":"i","repo":"a/b","base_commit":"c0","problem_statement":"It fails.","language":"python"}"#;
        let mut instance = sbx_records::read_instances(row.as_bytes(), "t").unwrap().remove(0);
        let expected = "Please solve this issue in the repository a/b.\n\n## Issue\n\nIt fails.\n\n## Repository Info\n\n- Repo: a/b\n- Language: python\n- Base commit: c0\n- The full repository is checked out as your current working directory; use relative paths.";
        assert_eq!(task(&instance), expected);
        instance.interface = Some("def f()".into());
        assert!(
            task(&instance).contains("It fails.\n\n## Relevant Interface\n\ndef f()\n\n## Repository Info\n")
        );
    }
}
