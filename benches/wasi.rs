//! The backend without processes: a whole action against a bare `bash -c`, throughput against native commands, 200
//! sandboxes at a time, pipelines that may lose nothing, and bombs.
//!
//! `cargo bench --bench wasi -- 200 50 20000`   (rounds; MiB of text; pipelines; 0 leaves a part out)

mod paired;

use paired::{Peer, argument, compare};
use sbx::{Action, Policy, Shell};
use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
/// Pipelines, and what they print.
const PIPELINES: [(&str, &str); 4] = [
    ("cp a z && find . -name z | sort; cat a b | tr x y | wc -l; rm z", "./z\n2\n"),
    ("seq 2000 | sort -rn | head -n 1; yes | head -n 3 | sort -u", "2000\ny\n"),
    ("ls a b c | sort -r | cat | head -n 2 | tail -n 1", "b\n"),
    ("echo $(seq 300 | grep -c 7) $(cat <(seq 9) | wc -l)", "57 9\n"),
];
/// Scripts that have no end, or want more than there is; each ends by a limit or with a status.
const BOMBS: [&str; 9] = [
    "while :; do :; done",
    ":(){ :|:& };:",
    "yes | sort",
    "printf '%10000000000d' 1",
    "x=a; while :; do x=$x$x; done",
    "f() { f; }; f",
    "yes",
    "awk 'BEGIN { x = \"a\"; while (1) x = x x }'",
    "dd if=/dev/zero of=big bs=1M count=100000",
];
/// Time of a bomb.
const BOMB_TIME: Duration = Duration::from_secs(5);
/// Rounds of each of these.
const FEW: usize = 5;
/// Sandboxes that live at one time, and actions of each.
const MANY: (usize, usize) = (200, 26);

fn main() {
    let number = |n: usize, default: usize| argument(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (rounds, mebibytes, pipelines) = (number(0, 200), number(1, 50), number(2, 2_000));
    let dir = tempfile::tempdir().expect("a workspace");
    for name in ["a", "b", "c"] {
        std::fs::write(dir.path().join(name), "x\n").expect("a file of the workspace");
    }
    for script in ["true", "ls | sort | head -n 2", "cat a", "for i in a b c; do grep -c x $i; done"] {
        compare(&format!("`{script}`"), rounds, &mut beside_bash(dir.path(), script, Stdio::null));
    }
    std::fs::write(dir.path().join("text"), text(mebibytes)).expect("a file of the workspace");
    for script in THROUGH.iter().take(if mebibytes == 0 { 0 } else { THROUGH.len() }) {
        let title = format!("`{script}`, {mebibytes} MiB");
        // Into a file: GNU grep stops at the first match when nobody reads.
        let script: &'static str = Box::leak(format!("LC_ALL=C; export LC_ALL; {script} > out").into());
        compare(&title, FEW, &mut beside_bash(dir.path(), script, Stdio::null));
    }
    std::fs::remove_file(dir.path().join("text")).expect("a file of the workspace");
    many(dir.path());
    lose_nothing(dir.path(), pipelines);
    bombs(dir.path());
}

fn shell(dir: &Path) -> Shell {
    Shell::open(&Policy::preset("paranoid").expect("a preset"), dir).expect("a sandbox; see `sbx doctor`")
}

fn beside_bash(dir: &Path, script: &'static str, output: fn() -> Stdio) -> Vec<Peer> {
    let (place, mut live) = (dir.to_path_buf(), shell(dir));
    let bare = move || {
        let mut bash = paired::program("bash");
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

/// Pipelines, two sandboxes at a time: what is lost is counted.
fn lose_nothing(dir: &Path, count: usize) {
    let lost = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let lost = &lost;
            scope.spawn(move || {
                let mut live = shell(dir);
                for n in (half..count).step_by(2) {
                    let (script, expected) = PIPELINES[n % PIPELINES.len()];
                    let seen = live.act(&Action::bash(script)).expect("an observation");
                    if seen.stdout.text() != expected || seen.exit_code != 0 {
                        lost.fetch_add(1, Ordering::Relaxed);
                        println!("lost: {script}: {:?} {:?}", seen.stdout.text(), seen.stderr.text());
                    }
                }
            });
        }
    });
    println!("\n{count} pipelines: {} lost", lost.into_inner());
}

/// Bombs: how each ends, and what it leaves of memory.
fn bombs(dir: &Path) {
    println!("\n{:<52} {:>12} {:>6} {:>6} {:>9}", "bomb", "outcome", "status", "s", "KiB after");
    for script in BOMBS.into_iter().map(String::from).chain([nested(10_000)]) {
        let mut live = shell(dir);
        let seen = live.act(&Action::bash(&script).time(BOMB_TIME)).expect("an observation");
        drop(live);
        let shown: String = script.chars().take(50).collect();
        let outcome = format!("{:?}", seen.outcome);
        let limits = seen.limits_hit.join(" ");
        let (status, time) = (seen.exit_code, seen.wall.as_secs_f64());
        println!("{shown:<52} {outcome:>12} {status:>6} {time:>6.1} {:>9} {limits}", resident());
    }
}

/// Substitutions, one in the other.
fn nested(depth: usize) -> String {
    format!("echo {}x{}", "$(echo ".repeat(depth), ")".repeat(depth))
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
