//! What the model reads before its first reply. The meaning is that of the data set's prompt; the words are ours, and
//! every program that they name comes from the policy.

use super::SENTINELS;
use sbx_records::Instance;
use sbx_runtime::Policy;

/// Programs that models reach for. Those that the policy keeps out are named as absent.
const TEMPTING: [&str; 26] = [
    "python", "python3", "pytest", "pip", "ipython", "node", "npm", "cargo", "go", "make", "gcc", "java",
    "ruby", "perl", "bash", "sh", "xargs", "patch", "rg", "jq", "vi", "nano", "curl", "wget", "ssh", "sudo",
];
/// Programs that could run a repository's code.
const RUNNERS: [&str; 11] =
    ["python", "python3", "pytest", "node", "npm", "cargo", "go", "make", "gcc", "java", "ruby"];

pub(super) fn system(policy: &Policy) -> String {
    let has = |name: &str| policy.allows_command(name);
    let absent: Vec<_> = TEMPTING.into_iter().filter(|name| !has(name)).collect();
    let absent = match absent.as_slice() {
        [] => String::new(),
        names => format!("\n- These do not exist, so do not try them: {}.", names.join(" ")),
    };
    let execution = if RUNNERS.into_iter().any(has) {
        "The repository's code can be run, with the programs below."
    } else {
        "Nothing of the repository can be executed: no tests, no scripts, no builds. You reason about the code instead."
    };
    let network = match policy.domains.as_slice() {
        [] => "There is no network, and no input".into(),
        names => format!("Of the network only {} can be reached, and there is no input", names.join(" ")),
    };
    let sentinel = SENTINELS[0];
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
- These programs exist, besides bash's own builtins: {}.{absent}
- Do not use `bash -c`, `sh -c`, `eval` or `source`: your block is a script already.
- {network}: a command that waits for input reads its end.
- Begin the block with the command itself, not with a # comment.

How to proceed:
1. Find the code that the issue is about{}.
2. Read it until you understand the cause.
3. {}.
4. Read the edited lines again{}.
5. Submit: run a command whose first line of output is {sentinel}, such as

```bash
echo {sentinel}
```

Your changes in the repository are collected then. You cannot go on after that.",
        policy.commands.join(" "),
        with(["grep", "rg", "find"].into_iter().filter(|n| has(n)).collect()),
        edit(policy),
        if has("git") { ", and look at `git diff`" } else { "" },
    )
}

fn edit(policy: &Policy) -> String {
    if !policy.write_workspace {
        return "Work out the change; the files here are read-only".into();
    }
    let ways = [("sed", "`sed -i`"), ("cat", "a heredoc (`cat > file <<'EOF'`)")];
    let ways = ways.into_iter().filter(|(name, _)| policy.allows_command(name)).map(|(_, way)| way).collect();
    format!("Edit it{}", with(ways))
}

fn with(names: Vec<&str>) -> String {
    match names.as_slice() {
        [] => String::new(),
        [rest @ .., last] if !rest.is_empty() => format!(", with {} or {last}", rest.join(", ")),
        _ => format!(", with {}", names[0]),
    }
}

pub(super) fn task(instance: &Instance) -> String {
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
    use sbx_runtime::PRESETS;

    fn policies() -> Vec<Policy> {
        let few = "about = \"few\"\nextends = \"base\"\n[commands]\nallow = [\"cat\"]\n[files]\nwrite = [\"workspace\"]\n";
        let mut all: Vec<_> = PRESETS.iter().map(|(name, _)| Policy::preset(name).unwrap()).collect();
        all.push(Policy::parse(few, "few.toml").unwrap());
        all
    }

    fn list(prompt: &str, start: &str) -> Option<Vec<String>> {
        let rest = prompt.split_once(start)?.1;
        let end = rest.find(".\n").unwrap();
        Some(rest[..end].split(' ').filter(|n| !n.is_empty()).map(String::from).collect())
    }

    #[test]
    fn the_prompt_names_what_the_policy_allows_and_no_other_program() {
        for policy in policies() {
            let prompt = system(&policy);
            let present = list(&prompt, "These programs exist, besides bash's own builtins: ").unwrap();
            assert_eq!(present, policy.commands, "{}", policy.name);
            for absent in list(&prompt, "These do not exist, so do not try them: ").unwrap() {
                assert!(!policy.allows_command(&absent), "{}: {absent}", policy.name);
            }
            let steps = prompt.split_once("How to proceed:").unwrap().1;
            let words: Vec<_> = steps.split(|c: char| !c.is_ascii_alphanumeric()).collect();
            for name in ["grep", "rg", "find", "sed", "cat", "git", "patch", "python"] {
                assert!(!words.contains(&name) || policy.allows_command(name), "{}: {name}", policy.name);
            }
        }
    }

    #[test]
    fn only_a_policy_with_an_interpreter_promises_execution() {
        for policy in policies() {
            let runs = policy.commands.iter().any(|c| c == "python3" || c == "node");
            assert_eq!(system(&policy).contains("code can be run"), runs, "{}", policy.name);
        }
    }

    #[test]
    fn the_steps_are_sentences() {
        let steps = |name: &str| {
            let prompt = system(&Policy::preset(name).unwrap());
            let steps = prompt.split_once("How to proceed:\n").unwrap().1;
            steps.lines().take(4).map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            steps("swe-zero"),
            [
                "1. Find the code that the issue is about, with grep or find.",
                "2. Read it until you understand the cause.",
                "3. Edit it, with `sed -i` or a heredoc (`cat > file <<'EOF'`).",
                "4. Read the edited lines again, and look at `git diff`.",
            ]
        );
        assert_eq!(steps("readonly")[2], "3. Work out the change; the files here are read-only.");
        assert_eq!(steps("base")[0], "1. Find the code that the issue is about.");
    }

    #[test]
    fn the_task_has_an_interface_only_when_there_is_one() {
        let row = r#"{"instance_id":"i","repo":"a/b","base_commit":"c0","problem_statement":"It fails.","language":"python"}"#;
        let mut instance = sbx_records::read_instances(row.as_bytes(), "t").unwrap().remove(0);
        let expected = "Please solve this issue in the repository a/b.\n\n## Issue\n\nIt fails.\n\n## Repository Info\n\n- Repo: a/b\n- Language: python\n- Base commit: c0\n- The full repository is checked out as your current working directory; use relative paths.";
        assert_eq!(task(&instance), expected);
        instance.interface = Some(" \n".into());
        assert_eq!(task(&instance), expected);
        instance.interface = Some("def f()".into());
        assert!(
            task(&instance).contains("It fails.\n\n## Relevant Interface\n\ndef f()\n\n## Repository Info\n")
        );
    }

    #[test]
    fn the_network_is_the_policys() {
        let open = "about = \"n\"\nextends = \"whitelist\"\nloosens = [\"network.allow\"]\n[network]\nallow = [\"example.org\"]\n";
        let open = system(&Policy::parse(open, "open.toml").unwrap());
        assert!(
            open.contains("- Of the network only example.org can be reached, and")
                && !open.contains("no network"),
            "{open}"
        );
        assert!(
            system(&Policy::preset("whitelist").unwrap()).contains("- There is no network, and no input: ")
        );
    }
}
