//! Everyday commands of coding agents, in the interpreter and in the bash of the host. What differs has its reason in
//! `differences.toml` and is published in `DIFFERENCES.md`; `SBX_WRITE_DIFFERENCES=1` writes the table anew. Recorded actions
//! are compared by `benches/differential.rs`.

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
/// The marks around the table.
const BEGIN: &str = "<!-- everyday -->\n";
const END: &str = "<!-- end -->\n";
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

/// Why scripts differ, by their names.
fn reasons() -> BTreeMap<String, String> {
    toml::from_str(include_str!("../../differences.toml")).unwrap()
}

/// The table of what differs, as it is published.
fn table(differences: &[Difference], total: usize) -> String {
    let reasons = reasons();
    let same = total - differences.len();
    let rate = 100.0 * same as f64 / total as f64;
    let mut text = format!("{same} of {total} are identical ({rate:.1} %).\n\n");
    if !differences.is_empty() {
        text.push_str("| case | script | reason |\n|---|---|---|\n");
    }
    for difference in differences {
        let script: String =
            difference.script.replace('\n', " ⏎ ").replace('|', "\\|").chars().take(90).collect();
        let reason = reasons.get(&difference.name).map_or("unknown", String::as_str);
        let _ = writeln!(text, "| {} | `{script}` | {reason} |", difference.name);
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
    for d in &differences {
        eprintln!("=== {}: {}\n--- bash {:?}\n--- own {:?}", d.name, d.script, d.bash, d.own);
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    let (before, rest) = published.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = table(&differences, cases.len());
    if std::env::var_os("SBX_WRITE_DIFFERENCES").is_some() {
        std::fs::write(PUBLISHED, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
    // A host may lack what another has: then a script fails here and there alike.
    let reasons = reasons();
    let unknown: Vec<&str> =
        differences.iter().map(|d| d.name.as_str()).filter(|name| !reasons.contains_key(*name)).collect();
    assert!(
        unknown.is_empty(),
        "{} of {} differ; without a reason: {unknown:?}",
        differences.len(),
        cases.len()
    );
    let gone: Vec<&String> =
        reasons.keys().filter(|name| !cases.iter().any(|(known, _)| known == *name)).collect();
    assert!(gone.is_empty(), "differences.toml names no case: {gone:?}");
}
