//! Many sandboxes on one machine: memory of an idle one, actions through the first and the last of many, actions a second
//! against bare bash at several concurrencies, and new sandboxes a second against bubblewrap.
//!
//! `cargo bench --bench scale -- 1000`   (live sandboxes)

mod paired;

use paired::{Peer, argument, compare};
use sbx::{Action, Policy, Sandbox};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Time of one measurement of actions a second.
const SLICE: Duration = Duration::from_secs(1);

fn main() {
    let count: usize = argument(0).and_then(|a| a.parse().ok()).unwrap_or(200);
    let dir = tempfile::tempdir().expect("a workspace");
    throughput(dir.path());
    if paired::has_bubblewrap() {
        new_ones(dir.path());
    }
    live(dir.path(), count);
}

fn open(dir: &Path) -> Sandbox {
    let policy = Policy::preset("whitelist").expect("a preset");
    Sandbox::open(&policy, dir).expect("a sandbox; see `sbx doctor`")
}

/// Bare bash and live sandboxes in turn, three times each, at each concurrency.
fn throughput(dir: &Path) {
    println!("{:<30} {:>12} {:>12} {:>8}", "actions a second", "bare", "sandboxes", "ratio");
    for workers in [1, 2, 8, 64] {
        let mut sandboxes: Vec<Sandbox> = (0..workers).map(|_| open(dir)).collect();
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            let mut bare: Vec<()> = vec![(); workers];
            rates[0].push(rate(&mut bare, |()| {
                let status = paired::program("bash").args(["-c", "true"]).stdin(Stdio::null()).status();
                assert!(status.is_ok_and(|s| s.success()));
            }));
            rates[1].push(rate(&mut sandboxes, |sandbox| {
                assert!(sandbox.run(&Action::bash("true")).is_ok_and(|o| o.success()));
            }));
        }
        let [bare, ours] = rates.map(|mut r| {
            r.sort_by(f64::total_cmp);
            r[1]
        });
        println!("{:<30} {bare:>12.0} {ours:>12.0} {:>8.3}", format!("concurrency {workers}"), ours / bare);
    }
}

/// A sandbox for each action, and bubblewrap, in turn, three times each.
fn new_ones(dir: &Path) {
    println!("\n{:<30} {:>12} {:>12} {:>8}", "new sandboxes a second", "bubblewrap", "sandboxes", "ratio");
    for workers in [1, 8] {
        let mut rates = [Vec::new(), Vec::new()];
        let mut all: Vec<()> = vec![(); workers];
        for _ in 0..3 {
            rates[0].push(rate(&mut all, |()| {
                let mut bwrap = paired::bubblewrap(dir);
                assert!(bwrap.args(["bash", "-c", "true"]).status().is_ok_and(|s| s.success()));
            }));
            rates[1].push(rate(&mut all, |()| {
                assert!(open(dir).run(&Action::bash("true")).is_ok_and(|o| o.success()));
            }));
        }
        let [theirs, ours] = rates.map(|mut r| {
            r.sort_by(f64::total_cmp);
            r[1]
        });
        println!(
            "{:<30} {theirs:>12.0} {ours:>12.0} {:>8.3}",
            format!("new, concurrency {workers}"),
            ours / theirs
        );
    }
}

/// Runs `act` on each worker, a thread each, for a while; how often a second.
fn rate<T: Send>(workers: &mut [T], act: impl Fn(&mut T) + Sync) -> f64 {
    let done = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| {
                while started.elapsed() < SLICE {
                    act(worker);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / started.elapsed().as_secs_f64()
}

fn live(dir: &Path, count: usize) {
    let _first = open(dir);
    let (before, pss_before) = (kernel_kib(), pss_kib());
    let started = Instant::now();
    let mut all: Vec<Sandbox> = (0..count).map(|_| open(dir)).collect();
    let each = started.elapsed().as_secs_f64() * 1e6 / count as f64;
    let kernel = (kernel_kib() - before) / count as f64;
    let pss = (pss_kib() - pss_before) / count as f64;
    println!(
        "\n{count} live sandboxes, each: opened in {each:.0} µs, {pss:.1} KiB PSS, {kernel:.0} KiB of kernel memory"
    );
    let act = |sandbox: &mut Sandbox| {
        assert!(sandbox.run(&Action::program(["true"])).is_ok_and(|o| o.success()));
    };
    let mut alone = open(dir);
    act(&mut alone);
    // The first action makes the cgroup.
    all.iter_mut().for_each(act);
    let kernel = (kernel_kib() - before) / count as f64;
    println!("after an action in each: {kernel:.0} KiB of kernel memory");
    let mut next = 0;
    let mut peers = [
        Peer::new("through one sandbox", move || act(&mut alone)),
        Peer::new("through each in turn", move || {
            next = (next + 1) % all.len();
            act(&mut all[next]);
        }),
    ];
    compare(&format!("the program `true`, {count} alive"), count.min(500), &mut peers);
}

/// Proportional memory of all processes 1 of this program, in KiB.
fn pss_kib() -> f64 {
    let own = std::process::id().to_string();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let pss = |pid: &str| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        text.lines().find_map(|l| l.strip_prefix("Pss:"))?.split_whitespace().next()?.parse().ok()
    };
    children.split_whitespace().filter_map(pss).sum()
}

/// Memory that the kernel holds, in KiB.
fn kernel_kib() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kinds = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];
    let line = |l: &str| {
        kinds.iter().find_map(|k| l.strip_prefix(k)?.split_whitespace().next()?.parse::<f64>().ok())
    };
    text.lines().filter_map(line).sum()
}
