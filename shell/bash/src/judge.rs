//! A policy's manners: which commands of a script are answered with a reason instead of being run.

use crate::script::{Call, Script};
use sbx_runtime::{BUILTINS, Denied, Exec, Policy, Refuse};

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
        Err(e) => Verdict::Unread(e.why),
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
        let is_path = call.words.first().is_some_and(|w| w.as_ref().is_some_and(|w| w.contains('/')));
        if is_path && policy.exec == Exec::Workspace {
            // Whether the file is one of the workspace only the kernel knows.
            continue;
        }
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

/// Options of git itself that take the next word: `git -C dir -c k=v push`.
const GIT_WITH_VALUE: [&str; 6] = ["-C", "-c", "--exec-path", "--git-dir", "--namespace", "--work-tree"];

/// Whether a rule's words fit a command: the first is the program, the others are its first words that are not options,
/// in order. A word of the rule that is an option may stand anywhere. `*` in a rule stands for any text.
fn fits(rule: &Refuse, call: &Call) -> bool {
    let mut pattern = rule.when.split_whitespace();
    let Some(program) = call.program() else { return false };
    if !pattern.next().is_some_and(|expected| glob(expected.as_bytes(), program.as_bytes())) {
        return false;
    }
    let with_value: &[&str] = if program == "git" { &GIT_WITH_VALUE } else { &[] };
    let is_option = |word: &str| word.starts_with('-');
    let mut words = call.words.iter().skip(1);
    pattern.all(|expected| {
        if is_option(expected) {
            let given = call.words.iter().skip(1).flatten();
            return given.take_while(|w| *w != "--").any(|w| glob(expected.as_bytes(), w.as_bytes()));
        }
        loop {
            match words.next() {
                Some(Some(word)) if with_value.contains(&word.as_str()) => drop(words.next()),
                Some(Some(word)) if is_option(word) => {}
                Some(Some(word)) => return glob(expected.as_bytes(), word.as_bytes()),
                Some(None) | None => return false,
            }
        }
    })
}

/// Whether a word fits a pattern in which `*` stands for any text.
fn glob(pattern: &[u8], word: &[u8]) -> bool {
    let (mut p, mut w) = (0, 0);
    // Where the last `*` was, and the word's place that it was tried up to.
    let mut star: Option<(usize, usize)> = None;
    while w < word.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, w));
            p += 1;
        } else if pattern.get(p) == Some(&word[w]) {
            (p, w) = (p + 1, w + 1);
        } else if let Some((at, tried)) = star {
            star = Some((at, tried + 1));
            (p, w) = (at + 1, tried + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let text = "extends = \"whitelist\"\n[[refuse]]\nwhen = \"rm -rf\"\nbecause = \"no\"\n\
                    [[refuse]]\nwhen = \"git commit --no-ver*\"\nbecause = \"no\"\n\
                    [[refuse]]\nwhen = \"git remote * h*://*.org\"\nbecause = \"no\"\n";
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
            "rm x -rf",
            "git commit -m x --no-verify",
            "git remote add http://example.org",
            "if true; then echo \"${x:-$(git push)}\"; fi",
            "git commit -m \"$(cat <<'E'\nDon't (\nE\n)\" && git push",
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
            "rm -- -rf",
            "git remote add https://example.net",
            "$git push",
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
    fn a_star_stands_for_any_text() {
        for (pattern, word) in [("a*", "a"), ("*", ""), ("a*c*e", "abcde"), ("*a", "aba"), ("a", "a")] {
            assert!(glob(pattern.as_bytes(), word.as_bytes()), "{pattern} {word}");
        }
        for (pattern, word) in [("a*", "ba"), ("a*c", "ab"), ("", "a"), ("a", ""), ("*a", "ab")] {
            assert!(!glob(pattern.as_bytes(), word.as_bytes()), "{pattern} {word}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_and_left_to_bash() {
        assert!(matches!(judge(&policy(), "if git push"), Verdict::Unread(_)));
        assert_eq!(outside(&policy(), "if curl"), []);
    }

    #[test]
    fn the_verdict_does_not_depend_on_heredoc_bodies_or_quoted_text() {
        let policy = policy();
        let mut random = 7u64;
        let mut below = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % n
        };
        let bits = [
            "git push", "rm -rf /", "$(", ")", "`", "\"", "'", "EO", "if", "\n", " ", "\\", "<<X", "${", "}",
            "#",
        ];
        let refused = |verdict| matches!(verdict, Verdict::Refused { .. });
        for _ in 0..500 {
            let body: String = (0..below(12)).map(|_| bits[below(bits.len())]).collect();
            let heredoc = format!("cat > f <<'EOF'\n{body}\nEOF\n");
            assert_eq!(judge(&policy, &format!("{heredoc}ls")), Verdict::Allowed, "{body}");
            assert!(refused(judge(&policy, &format!("{heredoc}git push"))), "{body}");
            let quoted = format!("echo '{}'", body.replace('\'', ""));
            assert_eq!(judge(&policy, &format!("{quoted}; ls")), Verdict::Allowed, "{body}");
            assert!(refused(judge(&policy, &format!("{quoted}; git push"))), "{body}");
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
