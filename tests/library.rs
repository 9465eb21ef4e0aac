//! The library in a program with threads and children of its own: nothing leaks, and nothing of one sandbox is another's.

use sbx::{Action, Policy, Sandbox, Shell};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What a leak would show in: descriptors, mounts, threads and children of this process.
fn held() -> [usize; 4] {
    let count = |dir: &str| std::fs::read_dir(dir).map_or(0, Iterator::count);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let me = std::process::id().to_string();
    let children = std::fs::read_dir("/proc").unwrap().flatten().filter(|p| {
        let stat = std::fs::read_to_string(p.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(1) == Some(me.as_str()))
    });
    [count("/proc/self/fd"), mounts, count("/proc/self/task"), children.count()]
}

/// A thread that has been joined is in the kernel's list for a moment longer.
fn settles(before: [usize; 4]) {
    for _ in 0..100 {
        if held() == before {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(held(), before);
}

/// One test at a time: they count what the whole process holds.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn policy() -> Option<Policy> {
    let policy = Policy::preset("whitelist").unwrap();
    match Sandbox::open(&policy, std::env::temp_dir().join(".")).map(drop) {
        Ok(()) => Some(policy),
        // The temporary directory itself may be no workspace; another error is one of the host.
        Err(sbx::Error::Workspace { .. }) => Some(policy),
        Err(e) if std::env::var_os("SBX_MUST_WORK").is_none() => {
            eprintln!("SKIPPED: no sandbox on this host: {e}");
            None
        }
        Err(e) => panic!("no sandbox on this host: {e}"),
    }
}

/// One after the other, so that what others hold does not count.
#[test]
fn a_program_with_threads_and_children_can_embed_it() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(policy) = policy() else { return };
    // The plans of the last few workspaces are kept, each in a file of memory.
    for _ in 0..10 {
        drop(Sandbox::open(&policy, tempfile::tempdir().unwrap().path()).unwrap());
    }
    actions_leak_nothing(&policy, 300);
    sandboxes_leak_nothing(&policy, 60);
    threads_do_not_meet(&policy);
    other_children_are_left_alone(&policy);
    a_callback_that_panics_ends_its_action(&policy);
    limits_are_each_sandboxs_own();
}

#[test]
#[ignore = "ten thousand actions take a minute"]
fn ten_thousand_actions_leak_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(policy) = policy() else { return };
    actions_leak_nothing(&policy, 10_000);
    sandboxes_leak_nothing(&policy, 1_000);
}

fn actions_leak_nothing(policy: &Policy, count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Shell::open(policy, dir.path()).unwrap();
    let mut run = |n: usize| {
        let script = match n % 4 {
            0 => "echo x > f; cat f",
            1 => "sleep 100 & disown; exit 3",
            2 => "ls | wc -l; (exit 1)",
            _ => "no-such-program",
        };
        shell.run(script).unwrap();
    };
    (0..8).for_each(&mut run);
    let before = held();
    (0..count).for_each(&mut run);
    settles(before);
}

fn sandboxes_leak_nothing(policy: &Policy, count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let one = || drop(Sandbox::open(policy, dir.path()).unwrap().run(&Action::bash("echo x > f")).unwrap());
    (0..3).for_each(|_| one());
    let before = held();
    (0..count).for_each(|_| one());
    settles(before);
}

fn threads_do_not_meet(policy: &Policy) {
    let dir = tempfile::tempdir().unwrap();
    let before = held();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let dir = &dir;
            scope.spawn(move || {
                let mut shell = Shell::open(policy, dir.path()).unwrap();
                for m in 0..10 {
                    let seen =
                        shell.run(&format!("echo {n}.{m} >> mine; ls | wc -l; tail -n 1 mine")).unwrap();
                    assert_eq!(seen.stdout.text(), format!("1\n{n}.{m}\n"));
                }
            });
        }
    });
    settles(before);
}

fn a_callback_that_panics_ends_its_action(policy: &Policy) {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Shell::open(policy, dir.path()).unwrap();
    let began = std::time::Instant::now();
    for script in ["echo a; echo b; exit 3", "echo a; sleep 30; exit 3"] {
        let act = || shell.act_with(&Action::bash(script), &mut |_, _| panic!("of the caller"));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"of the caller"));
        for status in [4, 5] {
            assert_eq!(shell.run(&format!("exit {status}")).unwrap().exit_code, status);
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

/// A sandbox may have the cgroup of one before it.
fn limits_are_each_sandboxs_own() {
    let dir = tempfile::tempdir().unwrap();
    let open = |memory: &str, processes: u32| {
        let text =
            format!("extends = \"whitelist\"\n[limits]\nmemory = \"{memory}\"\nprocesses = {processes}\n");
        Sandbox::open(&Policy::parse(&text, "limits.toml").unwrap(), dir.path()).unwrap()
    };
    let (mut groups, mut is_kept) = (BTreeSet::new(), false);
    for _ in 0..3 {
        for (memory, processes, is_met) in [("64 MiB", 8, true), ("256 MiB", 40, false), ("64 MiB", 8, true)]
        {
            let mut sandbox = open(memory, processes);
            let mut seen = |script: &str| sandbox.run(&Action::bash(script)).unwrap();
            // What was before does not count.
            let first = seen("grep -E ':(memory|pids):' /proc/self/cgroup");
            assert!(first.limits_hit.is_empty(), "{first:?}");
            let processes = seen("for i in {1..20}; do sleep 0.2 & done; wait").limits_hit;
            let memory = seen("head -c 120m /dev/zero | tail -n 1 | wc -c").limits_hit;
            if !first.enforced.iter().any(|wall| wall.starts_with("cgroup") && wall.ends_with(":memory")) {
                return eprintln!("SKIPPED: no cgroup on this host");
            }
            assert_eq!(processes, if is_met { vec!["processes"] } else { vec![] });
            assert_eq!(memory, if is_met { vec!["memory"] } else { vec![] });
            is_kept = first.enforced.iter().any(|wall| wall.starts_with("cgroup1:"));
            groups.insert(first.stdout.text());
        }
    }
    assert!(!is_kept || groups.len() < 9, "none was used again: {groups:?}");
    // Who clears up, or sets other limits, where a group waits for its next sandbox.
    let dirs = sbx::Host::probe().cgroup;
    let own = format!("sbx-{}-", std::process::id());
    for act in [
        |dir: &Path| drop(std::fs::write(dir.join("pids.max"), "max")),
        |dir: &Path| drop(std::fs::remove_dir(dir)),
    ] {
        let all =
            dirs.memory.iter().chain(&dirs.pids).flat_map(|dir| std::fs::read_dir(dir).unwrap().flatten());
        let ours: Vec<_> = all.filter(|e| e.file_name().to_string_lossy().starts_with(&own)).collect();
        assert!(!is_kept || !ours.is_empty());
        ours.iter().for_each(|entry| act(&entry.path()));
        let seen =
            open("64 MiB", 8).run(&Action::bash("for i in {1..20}; do sleep 0.2 & done; wait")).unwrap();
        assert_eq!(seen.limits_hit, ["processes"]);
    }
}

fn other_children_are_left_alone(policy: &Policy) {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Command::new("sleep").arg("30").spawn().unwrap();
    drop(Shell::open(policy, dir.path()).unwrap().run("sleep 1 & exit 0").unwrap());
    assert!(other.try_wait().unwrap().is_none(), "a child of the program still runs");
    other.kill().unwrap();
    // Its status is there for whoever started it.
    assert!(!other.wait().unwrap().success());
}
