//! The same scripts with the real jq.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The version that is followed.
const VERSION: &str = "jq-1.6";

fn files(dir: &Path) {
    fs::write(dir.join("a.json"), "{\"b\": 1, \"a\": [1, {\"x\": \"é\\u0001\"}], \"c\": 2.50}\n").unwrap();
    fs::write(dir.join("list.json"), "[3, 1, 2]\n{\"k\": \"a b\"}\n").unwrap();
}

#[test]
fn scripts_see_the_same_with_the_real_jq() {
    let version = Command::new("/usr/bin/jq").arg("--version").output().map(|output| output.stdout);
    if !version.unwrap_or_default().starts_with(VERSION.as_bytes()) {
        eprintln!("SKIPPED: /usr/bin/jq is not {VERSION}");
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_guest-jq"));
    guest_compare::scripts(include_str!("scripts.txt"), program, &["jq"], &files);
}
