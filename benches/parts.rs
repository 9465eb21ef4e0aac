//! What each part of an action, a sandbox and a rollout costs, by criterion: it keeps the last run and tells what a change
//! made of each. Times of one machine; for what they mean against others see `actions`, `scale` and `rollouts`.
//!
//! `cargo bench --bench parts -- [FILTER]`

use criterion::{BatchSize::PerIteration, Criterion};
use sbx::{Action, Policy, Sandbox};
use std::path::Path;
use std::time::{Duration, Instant};

const SCRIPT: &str = "cd src && grep -rn 'fn main' --include=*.rs . | sort | head -n 20 > /tmp/found || true";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let dir = tempfile::tempdir().expect("a workspace");
    std::fs::write(dir.path().join("notes"), "one\n".repeat(1000)).expect("a file");
    policies(&mut criterion);
    sandboxes(&mut criterion, dir.path());
    actions(&mut criterion, dir.path());
    changes(&mut criterion, dir.path());
    criterion.final_summary();
}

fn preset() -> Policy {
    Policy::preset("whitelist").expect("a preset")
}

fn open(dir: &Path) -> Sandbox {
    Sandbox::open(&preset(), dir).expect("a sandbox; see `sbx doctor`")
}

fn act(sandbox: &mut Sandbox, script: &str) {
    assert!(sandbox.run(&Action::bash(script)).is_ok_and(|seen| seen.success()), "{script}");
}

fn policies(criterion: &mut Criterion) {
    let policy = preset();
    let mut group = criterion.benchmark_group("policy");
    group.bench_function("read a preset", |b| b.iter(preset));
    group.bench_function("judge a script", |b| b.iter(|| sbx::judge(&policy, SCRIPT)));
}

fn sandboxes(criterion: &mut Criterion, dir: &Path) {
    let mut group = criterion.benchmark_group("sandbox");
    group.bench_function("open", |b| b.iter_batched(|| (), |()| open(dir), PerIteration));
    group.bench_function("its first action", |b| {
        b.iter_batched(|| open(dir), |mut sandbox| (act(&mut sandbox, "true"), sandbox), PerIteration);
    });
    group.bench_function("drop", |b| {
        let used = || {
            let mut sandbox = open(dir);
            act(&mut sandbox, "true");
            sandbox
        };
        b.iter_batched(used, drop, PerIteration);
    });
}

fn actions(criterion: &mut Criterion, dir: &Path) {
    let mut sandbox = open(dir);
    let mut group = criterion.benchmark_group("action");
    for script in ["true", "ls | wc -l", "sed -n 1,80p notes"] {
        group.bench_function(script, |b| b.iter(|| act(&mut sandbox, script)));
        group.bench_function(format!("{script}, 10 ms after the one before"), |b| {
            b.iter_custom(|count| {
                let timed = |_| {
                    std::thread::sleep(Duration::from_millis(10));
                    let begun = Instant::now();
                    act(&mut sandbox, script);
                    begun.elapsed()
                };
                (0..count).map(timed).sum()
            });
        });
    }
}

fn changes(criterion: &mut Criterion, dir: &Path) {
    let mut sandbox = open(dir);
    act(&mut sandbox, "echo two >> notes; for i in $(seq 20); do echo $i > new-$i; done");
    let patch = |sandbox: &Sandbox| sandbox.changes().expect("changes").diff_text();
    assert!(patch(&sandbox).contains("+two"));
    criterion.bench_function("patch of 21 files", |b| b.iter(|| patch(&sandbox)));
}
