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

/// Bare bash and live sandboxes in turn, at each concurrency.
fn throughput(dir: &Path) {
    let at = |workers: usize| {
        let mut sandboxes: Vec<Sandbox> = (0..workers).map(|_| open(dir)).collect();
        let mut bare = vec![(); workers];
        in_turn(
            || {
                rate(&mut bare, |()| {
                    let status = paired::program("bash").args(["-c", "true"]).stdin(Stdio::null()).status();
                    assert!(status.is_ok_and(|s| s.success()));
                })
            },
            || {
                rate(&mut sandboxes, |sandbox| {
                    assert!(sandbox.run(&Action::bash("true")).is_ok_and(|o| o.success()));
                })
            },
        )
    };
    print("actions a second", "action", "bare", &[1, 2, 8, 64].map(|workers| (workers, at(workers))));
}

/// A sandbox for each action, and bubblewrap, in turn.
fn new_ones(dir: &Path) {
    let at = |workers: usize| {
        let mut all = vec![(); workers];
        let mut again = all.clone();
        in_turn(
            || {
                rate(&mut all, |()| {
                    let mut bwrap = paired::bubblewrap(dir);
                    assert!(bwrap.args(["bash", "-c", "true"]).status().is_ok_and(|s| s.success()));
                })
            },
            || {
                rate(&mut again, |()| {
                    assert!(open(dir).run(&Action::bash("true")).is_ok_and(|o| o.success()));
                })
            },
        )
    };
    print(
        "new sandboxes a second",
        "new sandbox",
        "bubblewrap",
        &[1, 8].map(|workers| (workers, at(workers))),
    );
}

/// How often a second, and the machine's processor time for each, in µs.
#[derive(Clone, Copy)]
struct Rate {
    a_second: f64,
    processor: f64,
}

/// Peer and sandboxes three times each: the medians.
fn in_turn(mut peer: impl FnMut() -> Rate, mut ours: impl FnMut() -> Rate) -> [Rate; 2] {
    let rounds = [(); 3].map(|()| [peer(), ours()]);
    let median = |of: &dyn Fn(&[Rate; 2]) -> f64| {
        let mut all = rounds.each_ref().map(of);
        all.sort_by(f64::total_cmp);
        all[1]
    };
    [0, 1].map(|who| Rate {
        a_second: median(&|round| round[who].a_second),
        processor: median(&|round| round[who].processor),
    })
}

fn print(title: &str, what: &str, peer: &str, all: &[(usize, [Rate; 2])]) {
    let prefix = if what == "action" { "" } else { "new, " };
    let table = |title: &str, of: fn(&Rate) -> f64| {
        println!("\n{title:<40} {peer:>12} {:>12} {:>8}", "sandboxes", "ratio");
        for (workers, rates) in all {
            let [theirs, ours] = rates.each_ref().map(of);
            let row = format!("{prefix}concurrency {workers}");
            println!("{row:<40} {theirs:>12.0} {ours:>12.0} {:>8.3}", ours / theirs);
        }
    };
    table(title, |rate| rate.a_second);
    table(&format!("processor time of each {what}, µs"), |rate| rate.processor);
}

/// Runs `act` on each worker, a thread each, for a while.
fn rate<T: Send>(workers: &mut [T], act: impl Fn(&mut T) + Sync) -> Rate {
    let done = AtomicUsize::new(0);
    let (busy_before, started) = (busy(), Instant::now());
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
    let (done, took) = (done.into_inner() as f64, started.elapsed().as_secs_f64());
    Rate { a_second: done / took, processor: (busy() - busy_before) / done }
}

/// What all processors have done since the machine was started, in µs; the kernel's own threads are in it.
fn busy() -> f64 {
    const TICK: f64 = 10_000.0;
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|n| ticks.get(*n)).sum::<f64>() * TICK
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
