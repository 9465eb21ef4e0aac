//! Whether anything grows while one sandbox runs many actions: their time, memory of this program, of process 1 and of the
//! kernel, descriptors, mounts.
//!
//! `cargo bench --bench growth -- 100000 600`   (actions, and seconds after which it stops)

mod paired;

use paired::argument;
use sbx::{Action, Policy, Sandbox};
use std::fs;
use std::time::{Duration, Instant};

/// Rows of the table.
const ROWS: usize = 10;
/// What the actions do, in turn.
const SCRIPTS: [&str; 4] =
    ["true", "echo x > f; cat f; rm f", "sleep 100 & disown; exit 3", "ls | wc -l; no-such-program"];

fn main() {
    let count: usize = argument(0).and_then(|a| a.parse().ok()).unwrap_or(10_000);
    let most = Duration::from_secs(argument(1).and_then(|a| a.parse().ok()).unwrap_or(600));
    let dir = tempfile::tempdir().expect("a workspace");
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut sandbox = Sandbox::open(&policy, dir.path()).expect("a sandbox; see `sbx doctor`");
    let started = Instant::now();
    println!(
        "{:>9} {:>12} {:>10} {:>14} {:>12} {:>6} {:>7}",
        "actions", "µs, median", "RSS, KiB", "process 1, KiB", "kernel, KiB", "files", "mounts"
    );
    let slice = count.div_ceil(ROWS).max(1);
    let mut done = 0;
    while done < count && started.elapsed() < most {
        let mut times = Vec::with_capacity(slice);
        for n in 0..slice {
            let action = Action::bash(SCRIPTS[n % SCRIPTS.len()]);
            let begun = Instant::now();
            sandbox.run(&action).expect("an action");
            times.push(begun.elapsed());
            if started.elapsed() > most {
                break;
            }
        }
        done += times.len();
        times.sort();
        println!(
            "{done:>9} {:>12} {:>10} {:>14} {:>12} {:>6} {:>7}",
            times[times.len() / 2].as_micros(),
            field("/proc/self/status", "VmRSS:"),
            process_1(),
            ["Slab:", "KernelStack:", "PageTables:", "Percpu:"]
                .map(|k| field("/proc/meminfo", k))
                .iter()
                .sum::<u64>(),
            fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            fs::read_to_string("/proc/self/mountinfo").map_or(0, |t| t.lines().count()),
        );
    }
    println!("{done} actions in {:.0} s", started.elapsed().as_secs_f64());
}

/// The number after a key in a table of the kernel.
fn field(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().next()?.parse().ok());
    value.unwrap_or(0)
}

/// Proportional memory of this program's children, in KiB.
fn process_1() -> u64 {
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
}
