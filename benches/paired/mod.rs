//! Peers in turn, A B A B, in one run: what disturbs one disturbs the other. The ratio of medians is the figure; the times
//! tell of the machine.

#![allow(dead_code, reason = "each bench uses its part")]

use std::any::Any;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds that warm caches and are not counted.
const WARM_UP: usize = 2;

/// One of the peers: its name, what it does, and how long that took each time.
pub struct Peer {
    name: String,
    run: Box<dyn FnMut() -> Box<dyn Any>>,
    times: Vec<Duration>,
}

impl Peer {
    /// What `run` returns is dropped when the clock has stopped.
    pub fn new<T: 'static>(name: impl Into<String>, mut run: impl FnMut() -> T + 'static) -> Peer {
        Peer { name: name.into(), run: Box::new(move || Box::new(run())), times: Vec::new() }
    }
}

/// Runs the peers in turn and prints each one's median, and its ratio to the first.
pub fn compare(title: &str, rounds: usize, peers: &mut [Peer]) {
    compare_after(title, rounds, Duration::ZERO, peers);
}

/// As [`compare`], with a pause before each run: as long as a model thinks.
pub fn compare_after(title: &str, rounds: usize, pause: Duration, peers: &mut [Peer]) {
    for round in 0..rounds + WARM_UP {
        for peer in peers.iter_mut() {
            std::thread::sleep(pause);
            let started = Instant::now();
            let made = (peer.run)();
            let time = started.elapsed();
            drop(made);
            if round >= WARM_UP {
                peer.times.push(time);
            }
        }
    }
    println!("\n{title:<58} {:>10} {:>8}", "µs", "ratio");
    let first = peers.first().map_or(1.0, |p| median(&p.times));
    for peer in peers {
        let own = median(&peer.times);
        println!("{:<58} {:>10.0} {:>8.3}", peer.name, own * 1e6, own / first);
    }
}

/// In seconds.
fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// The n-th number or word after the options of cargo's own (`--bench`).
pub fn argument(n: usize) -> Option<String> {
    std::env::args().skip(1).filter(|a| !a.starts_with("--")).nth(n)
}

/// A program as a shell would start it: cargo tells the loader of each to look into four more directories for libraries.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Bubblewrap as agents' frameworks call it: every namespace, the host read-only, a writable workspace.
pub fn bubblewrap(workspace: &Path) -> Command {
    let mut command = program("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]);
    command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--bind"]);
    command.args([workspace, workspace, Path::new("--chdir"), workspace]).stdin(Stdio::null());
    command
}

/// Whether bubblewrap is installed.
pub fn has_bubblewrap() -> bool {
    let version = Command::new("bwrap").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|s| s.success())
}
