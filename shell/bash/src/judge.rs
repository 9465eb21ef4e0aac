//! A policy's manners: which commands of a script are answered with a reason instead of being run.

use crate::script::{Call, Script};
use sbx_runtime::{BUILTINS, Denied, Policy, Refuse};

/// What a policy's manners say about a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in it is refused. What is not allowed does not exist: the kernel says so.
    Allowed,
    /// A `[[refuse]]` rule fits one of its commands.
    Refused {
        /// The rule's `when`.
        rule: String,
        /// What the agent reads.
        because: String,
        /// The command that it fits.
        command: String,
    },
    /// It could not be read, for this reason. It is run all the same: bash reports its own syntax errors, and the walls
    /// do not depend on reading.
    Unread(String),
}

/// Holds a script against the policy's `[[refuse]]` rules.
///
/// ```
/// use sbx_bash::{Verdict, judge};
/// let policy = sbx_runtime::Policy::preset("whitelist")?;
/// assert!(matches!(judge(&policy, "cd src && git push origin main"), Verdict::Refused { .. }));
/// assert_eq!(judge(&policy, "echo 'git push'"), Verdict::Allowed);
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
pub fn judge(policy: &Policy, script: &str) -> Verdict {
    if policy.refuse.is_empty() {
        return Verdict::Allowed;
    }
    match Script::read(script) {
        Err(why) => Verdict::Unread(why.0),
        Ok(script) => judge_calls(policy, &script.calls),
    }
}

/// Holds a program with its arguments against the policy's `[[refuse]]` rules.
pub(crate) fn judge_calls(policy: &Policy, calls: &[Call]) -> Verdict {
    for call in calls {
        if let Some(rule) = policy.refuse.iter().find(|rule| fits(rule, call)) {
            let command =
                call.words.iter().map(|w| w.as_deref().unwrap_or("…")).collect::<Vec<_>>().join(" ");
            return Verdict::Refused { rule: rule.when.clone(), because: rule.because.clone(), command };
        }
    }
    Verdict::Allowed
}

/// Names the programs of a script that the policy does not allow, each once.
pub fn outside(policy: &Policy, script: &str) -> Vec<Denied> {
    let Ok(script) = Script::read(script) else { return Vec::new() };
    let mut denied: Vec<Denied> = Vec::new();
    for call in &script.calls {
        let Some(program) = call.program().filter(|p| !p.is_empty()) else { continue };
        let known = policy.allows_command(program)
            || BUILTINS.contains(&program)
            || script.functions.contains(program)
            || denied.iter().any(|d| d.what == program);
        if !known {
            denied.push(not_allowed(policy, program));
        }
    }
    denied
}

/// The refusal of a program, with what is allowed instead.
pub(crate) fn not_allowed(policy: &Policy, program: &str) -> Denied {
    /// Most names that a hint lists.
    const SHOWN: usize = 24;
    let hint = match policy.commands.len() {
        0 => format!("the policy {} allows no programs, only bash itself", policy.name),
        n if n <= SHOWN => format!("the policy {} allows {}", policy.name, policy.commands.join(" ")),
        n => {
            let everyday = ["cat", "ls", "grep", "find", "sed", "awk", "head", "tail", "sort", "diff", "git"];
            let some: Vec<_> = everyday.into_iter().filter(|name| policy.allows_command(name)).collect();
            format!(
                "the policy {} allows {} and {} more; not {program}",
                policy.name,
                some.join(" "),
                n - some.len()
            )
        }
    };
    Denied { what: program.into(), rule: "commands.allow".into(), hint }
}

/// Whether a rule's words are the program and the first words that are not options. A pattern word may end in `*`.
fn fits(rule: &Refuse, call: &Call) -> bool {
    let mut pattern = rule.when.split_whitespace();
    if pattern.next() != call.program() {
        return false;
    }
    // `git -C dir -c k=v push`: these options take the next word.
    let with_value: &[&str] =
        if call.program() == Some("git") { &["-C", "-c", "--git-dir", "--work-tree"] } else { &[] };
    let mut words = call.words.iter().skip(1);
    pattern.all(|expected| {
        loop {
            match words.next() {
                Some(Some(word)) if with_value.contains(&word.as_str()) && !expected.starts_with('-') => {
                    words.next();
                }
                Some(Some(word)) if word.starts_with('-') && !expected.starts_with('-') => {}
                Some(Some(word)) => return glob(expected, word),
                Some(None) | None => return false,
            }
        }
    })
}

fn glob(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => word.starts_with(prefix),
        None => word == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let text = "extends = \"whitelist\"\n[[refuse]]\nwhen = \"rm -rf\"\nbecause = \"no\"\n";
        Policy::parse(text, "p.toml").unwrap()
    }

    #[test]
    fn a_rule_fits_the_command_and_not_its_text() {
        for script in [
            "git push",
            "git -C x -c a=b push origin",
            "true && git --no-pager push",
            "bash -c 'git push'",
            "/usr/bin/git push",
            "rm -rf x",
            "find . | xargs git push",
            "x=$(git push)",
        ] {
            assert!(matches!(judge(&policy(), script), Verdict::Refused { .. }), "{script}");
        }
        for script in [
            "git status",
            "git log push",
            "echo git push",
            "rm -r x",
            "cat <<'E'\ngit push\nE",
            "git commit -m push",
            "grep 'git push' f",
            "# git push\nls",
        ] {
            assert_eq!(judge(&policy(), script), Verdict::Allowed, "{script}");
        }
    }

    #[test]
    fn programs_outside_the_policy_are_named_once_with_what_is_allowed() {
        let denied = outside(&policy(), "python3 x; ls | python3 -; f() { :; }; f; curl x; echo");
        assert_eq!(denied.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["python3", "curl"]);
        assert!(denied[0].hint.contains("grep") && denied[0].hint.lines().count() <= 3);
    }

    #[test]
    fn the_verdict_does_not_depend_on_heredoc_bodies_or_quoted_text() {
        let policy = policy();
        let bodies = ["git push", "rm -rf /", "$(git push)", "`git push`", "'", "EO", "if", "curl x | sh"];
        for body in bodies {
            assert_eq!(
                judge(&policy, &format!("cat > f <<'EOF'\n{body}\nEOF\nls")),
                Verdict::Allowed,
                "{body}"
            );
            let quoted = body.replace('\'', "");
            assert_eq!(judge(&policy, &format!("echo '{quoted}'; ls")), Verdict::Allowed, "{body}");
        }
    }

    #[test]
    fn presets_keep_their_own_examples() {
        for (name, _) in sbx_runtime::PRESETS {
            let policy = Policy::preset(name).unwrap();
            let refused = |script: &str| {
                !matches!(judge(&policy, script), Verdict::Allowed) || !outside(&policy, script).is_empty()
            };
            for script in &policy.examples.allows {
                assert!(!refused(script), "{name} allows {script}");
            }
            for script in &policy.examples.refuses {
                assert!(refused(script), "{name} refuses {script}");
            }
        }
    }
}
