//! Everyday commands of coding agents, in the interpreter and in the bash of the host. What differs is published in
//! `DIFFERENCES.md`; `SBX_WRITE_DIFFERENCES=1` writes it anew, and `SBX_CORPUS=FILE` (a JSON list of scripts) compares
//! commands that are not in the tree.

use super::tests::{Seen, bash, own};
use crate::engine::budget::Budget;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const TABLES: [(&str, &str); 3] = [
    ("git", include_str!("../../../../tests/everyday/git.toml")),
    ("shell", include_str!("../../../../tests/everyday/shell.toml")),
    ("tools", include_str!("../../../../tests/everyday/tools.toml")),
];
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/DIFFERENCES.md");
const APP: &str = "import sys\n\n\ndef main():\n    print('hello')\n\n\ndef other(x):\n    return x\n";

/// A small repository with two commits.
fn repository(dir: &Path) {
    std::fs::create_dir_all(dir.join("src")).unwrap();
    std::fs::write(dir.join("src/util.py"), "def util():\n    pass\n").unwrap();
    let versions = [("# Demo\n\nhello world\n", "import sys\n"), ("# Demo\n\nhello world\nmore\n", APP)];
    for (n, (readme, app)) in versions.into_iter().enumerate() {
        std::fs::write(dir.join("README.md"), readme).unwrap();
        std::fs::write(dir.join("src/app.py"), app).unwrap();
        for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", ["first", "second"][n]]] {
            let mut git = Command::new("git");
            git.current_dir(dir).args([
                "-c",
                "init.defaultBranch=main",
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
            ]);
            git.envs([
                ("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z"),
                ("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z"),
            ]);
            assert!(git.args(args).status().unwrap().success());
        }
    }
}

/// A script that does something else.
struct Difference {
    name: String,
    script: String,
    bash: Seen,
    own: Seen,
}

fn compare(cases: &[(String, String)]) -> Vec<Difference> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((name, script)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = tempfile::tempdir().unwrap();
                    let (one, other) = (dir.path().join("repo/workspace"), dir.path().join("other"));
                    repository(&one);
                    repository(&other);
                    let bash = bash(&one, script);
                    let own = own(&other, script, Budget::new(Duration::from_secs(120), 1 << 30, 256));
                    let same =
                        bash.stdout == own.stdout && bash.status == own.status && bash.files == own.files;
                    if !same {
                        let (name, script) = (name.clone(), script.clone());
                        let different = Difference { name, script, bash, own };
                        found.lock().unwrap_or_else(PoisonError::into_inner).push(different);
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Why a script differs, in few words.
fn reason(difference: &Difference) -> String {
    let missing = difference.own.stderr.lines().find_map(|line| {
        let command = line.strip_suffix(": command not found")?;
        Some(command.rsplit(": ").next()?.to_string())
    });
    if let Some(command) = missing {
        return format!("`{command}` is not a command of the sandbox");
    }
    let first = |text: &str| text.lines().next().unwrap_or("").chars().take(80).collect::<String>();
    if let Some(line) = difference.own.stderr.lines().find(|line| !difference.bash.stderr.contains(*line)) {
        return format!("`{}`", first(line).replace('`', "'").replace('|', "\\|"));
    }
    if difference.bash.stdout != difference.own.stdout {
        return "the output differs".into();
    }
    if difference.bash.status != difference.own.status {
        return format!("status {} instead of {}", difference.own.status, difference.bash.status);
    }
    "the files differ".into()
}

fn table(differences: &[Difference], total: usize) -> String {
    let same = total - differences.len();
    let rate = 100.0 * same as f64 / total as f64;
    let mut text = format!(
        "# Where the WASI backend differs\n\n\
         The everyday corpus (`tests/everyday/*.toml`), run by bash on the host and by the interpreter with the commands of\n\
         the module: stdout, exit status and files are compared. Written by `SBX_WRITE_DIFFERENCES=1 cargo test -p sbx-wasi\n\
         everyday`.\n\n{same} of {total} are identical ({rate:.1} %).\n\n| case | script | reason |\n|---|---|---|\n"
    );
    for difference in differences {
        let script: String =
            difference.script.replace('\n', " ⏎ ").replace('|', "\\|").chars().take(90).collect();
        let _ = writeln!(text, "| {} | `{script}` | {} |", difference.name, reason(difference));
    }
    text
}

#[test]
fn everyday_commands_differ_only_where_it_is_published() {
    let mut cases = Vec::new();
    for (file, text) in TABLES {
        let scripts: BTreeMap<String, String> = toml::from_str(text).unwrap();
        cases.extend(scripts.into_iter().map(|(name, script)| (format!("{file}/{name}"), script)));
    }
    let differences = compare(&cases);
    if std::env::var_os("SBX_WRITE_DIFFERENCES").is_some() {
        std::fs::write(PUBLISHED, table(&differences, cases.len())).unwrap();
        for d in &differences {
            eprintln!("=== {}: {}\n--- bash {:?}\n--- own {:?}", d.name, d.script, d.bash, d.own);
        }
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    let unknown: Vec<&str> = differences
        .iter()
        .filter(|d| !published.contains(&format!("| {} |", d.name)))
        .map(|d| d.name.as_str())
        .collect();
    assert!(
        unknown.is_empty(),
        "{} of {} differ; not published: {unknown:?}",
        differences.len(),
        cases.len()
    );
}

#[test]
fn commands_of_a_given_list_are_compared() {
    let Ok(path) = std::env::var("SBX_CORPUS") else { return };
    let scripts: Vec<String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<(String, String)> =
        scripts.into_iter().enumerate().map(|(n, script)| (format!("{n:05}"), script)).collect();
    let differences = compare(&cases);
    let mut reasons: BTreeMap<String, (usize, &Difference)> = BTreeMap::new();
    for difference in &differences {
        reasons.entry(reason(difference)).or_insert((0, difference)).0 += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (reason, (count, d)) in reasons {
        eprintln!(
            "{count} × {reason}\n    {:?}\n    bash {:.300?}\n    own {:.300?}",
            d.script, d.bash.stdout, d.own.stdout
        );
    }
    let same = cases.len() - differences.len();
    eprintln!("{same} of {} identical", cases.len());
    assert!(same * 2 > cases.len(), "{same} of {}", cases.len());
}
