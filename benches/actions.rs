//! What an action costs, paired: bare `bash -c true` and the sandbox in turn, A B A B, in one run. Prints ratios of medians.
//!
//! `cargo bench --bench actions -- 200`   (rounds; bubblewrap is a peer where it is installed)

use sbx::{Action, Policy, Sandbox};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Row = (&'static str, Box<dyn FnMut()>, Vec<Duration>);

fn main() {
    let rounds = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(100);
    let dir = std::env::temp_dir().join(format!("sbx-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a workspace");
    let mut rows = rows(&dir);
    for round in 0..rounds + 3 {
        for (_, run, times) in &mut rows {
            let started = Instant::now();
            run();
            // The first rounds warm caches.
            if round >= 3 {
                times.push(started.elapsed());
            }
        }
    }
    let base = median(&rows[0].2);
    println!("{:<44} {:>10} {:>8}", "median of interleaved rounds", "µs", "ratio");
    for (name, _, times) in &rows {
        let m = median(times);
        println!("{name:<44} {:>10.0} {:>8.2}", m.as_secs_f64() * 1e6, m.as_secs_f64() / base.as_secs_f64());
    }
    drop(rows);
    let _ = std::fs::remove_dir_all(&dir);
}

fn rows(dir: &std::path::Path) -> Vec<Row> {
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut warm = Sandbox::open(&policy, dir).expect("a sandbox; see `sbx doctor`");
    let (place, fresh) = (dir.to_path_buf(), policy.clone());
    let mut rows: Vec<Row> = vec![
        ("bare bash -c true", Box::new(|| bare("bash", &["-c", "true"])), vec![]),
        (
            "warm action: bash -c true in a sandbox",
            Box::new(move || assert!(warm.run(&Action::bash("true")).is_ok_and(|o| o.success()))),
            vec![],
        ),
        (
            "new sandbox, one action, teardown (library)",
            Box::new(move || {
                let mut sandbox = Sandbox::open(&fresh, place.as_path()).expect("a sandbox");
                assert!(sandbox.run(&Action::bash("true")).is_ok_and(|o| o.success()));
            }),
            vec![],
        ),
    ];
    let (binary, place) = (env!("CARGO_BIN_EXE_sbx"), dir.to_path_buf());
    rows.push((
        "sbx exec -- bash -c true, whole process",
        Box::new(move || {
            let place = place.to_str().expect("a temporary directory has a plain name");
            bare(binary, &["exec", "--workspace", place, "--", "bash", "-c", "true"]);
        }),
        vec![],
    ));
    let installed =
        Command::new("bwrap").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if installed.is_ok_and(|s| s.success()) {
        let view = [
            "--unshare-all",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/bin",
            "/bin",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--ro-bind",
            "/etc",
            "/etc",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "bash",
            "-c",
            "true",
        ];
        rows.push(("bwrap --unshare-all … bash -c true", Box::new(move || bare("bwrap", &view)), vec![]));
    }
    rows
}

fn bare(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "{program} {args:?}");
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}
