//! Everyday commands of coding agents: walls that break them are bought too dearly.

use super::run::{Runner, elsewhere};
use super::world::copy;
use anyhow::Context;
use sbx::{Action, Policy, Shell};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const FILES: [(&str, &str); 3] = [
    ("git", include_str!("../../../../tests/everyday/git.toml")),
    ("shell", include_str!("../../../../tests/everyday/shell.toml")),
    ("tools", include_str!("../../../../tests/everyday/tools.toml")),
];
const APP: &str = "import sys\n\n\ndef main():\n    print('hello')\n\n\ndef other(x):\n    return x\n";
const ENV: [(&str, &str); 8] = [
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@b"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_COMMITTER_EMAIL", "a@b"),
    ("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z"),
    ("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z"),
    ("GIT_EDITOR", "true"),
    ("GIT_PAGER", "cat"),
];

/// A script and its name.
pub struct Everyday {
    pub name: String,
    script: String,
}

/// All of them.
pub fn all() -> anyhow::Result<Vec<Everyday>> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let table: BTreeMap<String, String> =
            toml::from_str(text).with_context(|| format!("tests/everyday/{file}.toml"))?;
        all.extend(
            table.into_iter().map(|(name, script)| Everyday { name: format!("{file}/{name}"), script }),
        );
    }
    Ok(all)
}

/// The repository that each works in.
pub fn template(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("src/util.py"), "def util():\n    pass\n")?;
    for (message, readme, app) in [
        ("first", "# Demo\n\nhello world\n", "import sys\n"),
        ("second", "# Demo\n\nhello world\nmore\n", APP),
    ] {
        fs::write(dir.join("README.md"), readme)?;
        fs::write(dir.join("src/app.py"), app)?;
        for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", message]] {
            let mut git = Command::new("git");
            git.current_dir(dir)
                .args(["-c", "init.defaultBranch=main"])
                .args(args)
                .envs(ENV)
                .env("GIT_CONFIG_GLOBAL", "/dev/null");
            anyhow::ensure!(git.status().context("git is needed")?.success(), "git {args:?}");
        }
    }
    Ok(())
}

/// Whether it is with a runner as it is in bash alone: what it prints and how it ends.
pub fn is_same(case: &Everyday, runner: Runner, template: &Path, policy: &Policy) -> anyhow::Result<bool> {
    Ok(seen(case, Runner::Bare, template, policy)? == seen(case, runner, template, policy)?)
}

fn seen(case: &Everyday, runner: Runner, template: &Path, policy: &Policy) -> anyhow::Result<(String, i32)> {
    let dir = tempfile::tempdir().context("a temporary directory")?;
    let ws = dir.path().join("ws");
    fs::create_dir(&ws)?;
    copy(template, &ws)?;
    let plain = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    if runner == Runner::Sbx {
        let mut action = Action::bash(&case.script);
        for (key, value) in ENV {
            action = action.env(key, value);
        }
        let seen = Shell::open(policy, &ws)?.act(&action)?;
        return Ok((plain(String::from_utf8_lossy(&seen.stdout.bytes()).into_owned()), seen.exit_code));
    }
    let env: Vec<(String, String)> = ENV
        .iter()
        .copied()
        // The directories in which a policy looks, in its order.
        .chain([("PATH", "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin")])
        .chain([("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("TERM", "dumb"), ("PAGER", "cat")])
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let (output, status) = elsewhere(&case.script, runner, &ws, &env, false)?;
    Ok((plain(output), status))
}
