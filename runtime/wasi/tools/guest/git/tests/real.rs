//! The same scripts with the real git: output, status and files must be the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPTS: &str = include_str!("scripts.txt");
/// The version that is followed; others word some messages differently.
const VERSION: &str = "git version 2.39";
const APP: &str = "import sys\n\n\ndef main():\n    print('hello')\n\n\ndef other(x):\n    return x\n";

#[derive(PartialEq, Debug)]
struct Seen {
    stdout: String,
    status: Option<i32>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn bash(dir: &Path, path: &str, script: &str) -> std::process::Output {
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(dir)
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir.parent().unwrap());
    for (name, value) in [("NAME", "a"), ("EMAIL", "a@b"), ("DATE", "2024-01-01T00:00:00Z")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command.env("LC_ALL", "C.UTF-8").output().unwrap()
}

fn files(dir: &Path, top: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap().to_owned();
        if name.ends_with(".git") {
            continue;
        }
        if let Ok(target) = fs::read_link(&path) {
            found.insert(name, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            files(&path, top, found);
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn see(base: &Path, path: &str, script: &str) -> Seen {
    let dir = base.join("w");
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("src/util.py"), "def util():\n    pass\n").unwrap();
    for (readme, app, name) in [
        ("# Demo\n\nhello world\n", "import sys\n", "first"),
        ("# Demo\n\nhello world\nmore\n", APP, "second"),
    ] {
        fs::write(dir.join("README.md"), readme).unwrap();
        fs::write(dir.join("src/app.py"), app).unwrap();
        let made = bash(
            &dir,
            "/usr/bin:/bin",
            &format!("git -c init.defaultBranch=main init -q; git add -A; git commit -q -m {name}"),
        );
        assert!(made.status.success(), "{made:?}");
    }
    let output = bash(&dir, path, script);
    let mut found = BTreeMap::new();
    files(&dir, &dir, &mut found);
    let stdout = String::from_utf8_lossy(&output.stdout).replace(base.to_str().unwrap(), "BASE");
    Seen { stdout, status: output.status.code(), files: found }
}

#[test]
fn scripts_see_the_same_with_the_real_git() {
    let version = Command::new("/usr/bin/git")
        .arg("--version")
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    if !version.starts_with(VERSION.as_bytes()) {
        eprintln!("SKIPPED: /usr/bin/git is not {VERSION}");
        return;
    }
    let top = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{}", std::process::id()));
    let bin = top.join("bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_guest-git"), bin.join("git")).unwrap();
    let own = format!("{}:/usr/bin:/bin", bin.display());
    let mut different = Vec::new();
    for (number, script) in SCRIPTS.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let real = see(&top.join(format!("{number}-real")), "/usr/bin:/bin", script);
        let ours = see(&top.join(format!("{number}-ours")), &own, script);
        if real != ours {
            different.push(format!("{script}\n--- real\n{}--- ours\n{}", real.stdout, ours.stdout));
        }
    }
    fs::remove_dir_all(&top).unwrap();
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}
