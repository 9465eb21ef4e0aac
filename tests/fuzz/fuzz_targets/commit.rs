//! The overlay walker: whatever an action leaves behind, its commit changes nothing outside the workspace.
//!
//! Each byte is one thing that the action does, in a real sandbox; so it needs a host that can make one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sbx_runtime::{Action, Policy, Sandbox};

const STEPS: [&str; 16] = [
    "mkdir -p a/b", "echo x > a/f", "ln -s /etc e", "ln -s ../out o", "rm -rf a", "mv a c", "ln -s a l", "mkfifo p",
    "mkdir -p .git/hooks; echo x > .git/hooks/h", "chmod 4755 a/f", "ln a/f h", "echo x > l/f", "rm -rf *", "touch -- -f",
    "mkdir -p n/.git; echo x > n/.git/config", "echo x > o/f",
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = std::env::temp_dir().canonicalize() else { return };
    let dir = dir.join(format!("sbx-fuzz-{}", std::process::id()));
    let (ws, out) = (dir.join("ws"), dir.join("out"));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&ws).expect("a workspace");
    std::fs::create_dir_all(&out).expect("a directory outside");
    std::fs::write(ws.join("f"), "x").expect("a file");
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut sandbox = Sandbox::open(&policy, &ws).expect("a sandbox");
    let script: Vec<&str> = bytes.iter().take(24).map(|b| STEPS[usize::from(*b) % STEPS.len()]).collect();
    sandbox.run(&Action::bash(script.join("\n"))).expect("an observation");
    let changes = sandbox.changes().expect("the changes");
    let _ = changes.diff();
    let _ = changes.commit(&ws);
    assert_eq!(std::fs::read_dir(&out).expect("it is there").count(), 0, "{script:?}");
    assert!(!ws.join(".git/hooks/h").exists() && !ws.join("n/.git").exists(), "{script:?}");
    let _ = std::fs::remove_dir_all(&dir);
});
