//! `sbx exec` does not wait until its sandbox is gone, and a program that lives on keeps a cgroup for its next sandbox. All goes
//! the same: no process, cgroup or open pipe is left.

mod world;

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use world::World;

/// Far longer than it takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Directories of the cgroups that belong to the process `pid`, wherever cgroups are mounted.
fn groups(pid: u32) -> Vec<PathBuf> {
    fn find(dir: &std::path::Path, prefix: &str, depth: usize, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            } else if depth > 0 {
                find(&entry.path(), prefix, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    find("/sys/fs/cgroup".as_ref(), &format!("sbx-{pid}-"), 8, &mut found);
    found
}

/// This file has one test: it waits for every child of the process, and orphans become its children.
#[test]
fn nothing_is_left_of_a_program() {
    set_child_subreaper(Some(getpid())).expect("Linux 3.4");
    let world = World::new();
    let scripts = ["true", "exit 3", "sleep 300 & disown; setsid sleep 300 & echo x > f", "kill -9 $$"];
    let one_shots = scripts.map(|script| (vec!["exec", "-c", script], ""));
    let lives_on = (vec!["shell", "--json"], "{\"run\": \"sleep 300 & echo x > f\"}\n");
    for (arguments, input) in one_shots.into_iter().chain([lives_on]) {
        let mut sbx = world.sbx();
        sbx.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = sbx.spawn().expect("sbx starts");
        let pid = child.id();
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it is read");
        // It returns when nobody holds the pipe any more.
        child.wait_with_output().expect("its output");
        let deadline = Instant::now() + PATIENCE;
        // Process 1, and whoever clears up after it.
        loop {
            match wait(WaitOptions::NOHANG) {
                Err(rustix::io::Errno::CHILD) => break,
                Err(e) => panic!("{e}"),
                Ok(Some(_)) => {}
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            }
            assert!(Instant::now() < deadline, "a process is left of: {arguments:?}");
        }
        let left = groups(pid);
        assert!(left.is_empty(), "{left:?} of: {arguments:?}");
    }
}
