//! The same scripts with the real git.

use guest_compare::{bash, scripts};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The version that is followed; others word some messages differently.
const VERSION: &str = "git version 2.39";
const APP: &str = "import sys\n\n\ndef main():\n    print('hello')\n\n\ndef other(x):\n    return x\n";

/// A small repository with two commits.
fn repository(dir: &Path) {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("src/util.py"), "def util():\n    pass\n").unwrap();
    let versions = [
        ("# Demo\n\nhello world\n", "import sys\n", "first"),
        ("# Demo\n\nhello world\nmore\n", APP, "second"),
    ];
    for (readme, app, name) in versions {
        fs::write(dir.join("README.md"), readme).unwrap();
        fs::write(dir.join("src/app.py"), app).unwrap();
        let commit = format!("git -c init.defaultBranch=main init -q; git add -A; git commit -q -m {name}");
        let made = bash(dir, "/usr/bin:/bin", &commit);
        assert!(made.status.success(), "{made:?}");
    }
}

#[test]
fn scripts_see_the_same_with_the_real_git() {
    let version = Command::new("/usr/bin/git").arg("--version").output().map(|output| output.stdout);
    if !version.unwrap_or_default().starts_with(VERSION.as_bytes()) {
        eprintln!("SKIPPED: /usr/bin/git is not {VERSION}");
        return;
    }
    scripts(include_str!("scripts.txt"), Path::new(env!("CARGO_BIN_EXE_guest-git")), &["git"], &repository);
}
