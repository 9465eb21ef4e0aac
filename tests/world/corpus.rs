//! Everyday commands of coding agents, and the repository that each works in.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const FILES: [(&str, &str); 3] = [
    ("git", include_str!("../everyday/git.toml")),
    ("shell", include_str!("../everyday/shell.toml")),
    ("tools", include_str!("../everyday/tools.toml")),
];
const APP: &str = "import sys\n\n\ndef main():\n    print('hello')\n\n\ndef other(x):\n    return x\n";

/// Name and script of each.
pub fn scripts() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for (file, text) in FILES {
        let table: BTreeMap<String, String> = toml::from_str(text).unwrap();
        cases.extend(table.into_iter().map(|(name, script)| (format!("{file}/{name}"), script)));
    }
    assert!(cases.len() >= 150, "{}", cases.len());
    cases
}

pub fn repository(dir: &Path) {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("src/util.py"), "def util():\n    pass\n").unwrap();
    for (n, (readme, app)) in
        [("# Demo\n\nhello world\n", "import sys\n"), ("# Demo\n\nhello world\nmore\n", APP)]
            .into_iter()
            .enumerate()
    {
        fs::write(dir.join("README.md"), readme).unwrap();
        fs::write(dir.join("src/app.py"), app).unwrap();
        for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", ["first", "second"][n]]] {
            let mut git = Command::new("git");
            git.current_dir(dir).args(["-c", "init.defaultBranch=main"]).args(args).envs(environment(dir));
            assert!(git.status().unwrap().success());
        }
    }
}

pub fn environment(dir: &Path) -> Vec<(String, String)> {
    let home = dir.parent().unwrap().join("home").display().to_string();
    [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", home.as_str()),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("TERM", "dumb"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@b"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@b"),
        ("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z"),
        ("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z"),
        ("GIT_EDITOR", "true"),
    ]
    .map(|(k, v)| (k.to_string(), v.to_string()))
    .into()
}
