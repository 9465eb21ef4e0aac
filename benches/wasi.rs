//! The backend without processes: a whole action against a bare `bash -c`, throughput against native commands, and 200
//! sandboxes at a time.
//!
//! `cargo bench --bench wasi -- 200 50`   (rounds; MiB of text)

mod paired;

use paired::{Peer, argument, compare};
use sbx::{Action, Policy, Shell};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Commands that go through much text.
const THROUGH: [&str; 7] = [
    "grep -c word text",
    "grep -cE 'w[aeiou]r+d [0-9]*7' text",
    "sort text",
    "sha256sum text",
    "awk '{n += NF} END {print n}' text",
    "sed s/word/WORD/g text",
    "cut -d' ' -f2 text | sort | uniq -c | sort -rn",
];
/// Rounds of each of these.
const FEW: usize = 5;
/// Sandboxes that live at one time, and actions of each.
const MANY: (usize, usize) = (200, 26);

fn main() {
    let number = |n: usize, default: usize| argument(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (rounds, mebibytes) = (number(0, 200), number(1, 50));
    let dir = tempfile::tempdir().expect("a workspace");
    for name in ["a", "b", "c"] {
        std::fs::write(dir.path().join(name), "x\n").expect("a file of the workspace");
    }
    for script in ["true", "ls | sort | head -n 2", "cat a", "for i in a b c; do grep -c x $i; done"] {
        compare(&format!("`{script}`"), rounds, &mut beside_bash(dir.path(), script, Stdio::null));
    }
    std::fs::write(dir.path().join("text"), text(mebibytes)).expect("a file of the workspace");
    for script in THROUGH {
        let title = format!("`{script}`, {mebibytes} MiB");
        // Into a file: GNU grep stops at the first match when nobody reads.
        let script: &'static str = Box::leak(format!("LC_ALL=C; export LC_ALL; {script} > out").into());
        compare(&title, FEW, &mut beside_bash(dir.path(), script, Stdio::null));
    }
    many(dir.path());
}

fn shell(dir: &Path) -> Shell {
    Shell::open(&Policy::preset("paranoid").expect("a preset"), dir).expect("a sandbox; see `sbx doctor`")
}

fn beside_bash(dir: &Path, script: &'static str, output: fn() -> Stdio) -> Vec<Peer> {
    let (place, mut live) = (dir.to_path_buf(), shell(dir));
    let bare = move || {
        let mut bash = Command::new("bash");
        let done =
            bash.args(["-c", script]).current_dir(&place).stdin(Stdio::null()).stdout(output()).status();
        assert!(done.is_ok_and(|s| s.success()));
    };
    let act = move || assert!(live.act(&Action::bash(script)).is_ok_and(|seen| seen.success()));
    vec![Peer::new("bare bash -c", bare), Peer::new("backend wasi", act)]
}

/// Lines of words and numbers, always the same.
fn text(mebibytes: usize) -> String {
    const WORDS: [&str; 8] = ["word", "line", "some", "text", "of", "a", "longer", "kind"];
    let (mut text, mut random) = (String::new(), 7u64);
    while text.len() < mebibytes << 20 {
        for n in 0..8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = WORDS[(random >> 33) as usize % WORDS.len()];
            let end = if n == 7 { '\n' } else { ' ' };
            write!(text, "{word} {}{end}", (random >> 40) % 100_000).expect("a string takes all");
        }
    }
    text
}

/// What many rollouts at a time take of time and memory.
fn many(dir: &Path) {
    let (sandboxes, actions) = MANY;
    let before = resident();
    let started = Instant::now();
    let mut shells: Vec<Shell> = (0..sandboxes).map(|_| shell(dir)).collect();
    let opened = started.elapsed();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for live in &mut shells {
            scope.spawn(move || {
                for n in 0..actions {
                    let script = format!("echo {n} >> log; ls | wc -l; tail -n 1 log");
                    assert!(live.act(&Action::bash(script)).is_ok_and(|seen| seen.success()));
                }
            });
        }
    });
    let each = started.elapsed() / u32::try_from(sandboxes * actions).expect("few actions");
    let resident = (resident().saturating_sub(before)) / sandboxes as u64;
    println!("\n{sandboxes} sandboxes at a time, {actions} actions each");
    println!(
        "open: {:?} each; action: {each:?} each; memory: {resident} KiB each",
        opened / sandboxes as u32
    );
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
