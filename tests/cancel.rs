//! Actions that are ended from elsewhere.

use sbx::{Action, Backend, Cancel, Outcome, Policy, Shell};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Each backend that this host has, under its name.
fn shells(dir: &Path) -> Vec<(&'static str, Shell)> {
    let mut shells = Vec::new();
    for backend in [Backend::Native, Backend::Wasi] {
        let mut policy = Policy::preset("whitelist").unwrap();
        policy.backend = backend;
        match Shell::open(&policy, dir) {
            Ok(shell) => shells.push((backend.name(), shell)),
            Err(e) if std::env::var_os("SBX_MUST_WORK").is_none() => {
                eprintln!("SKIPPED: no {} sandbox on this host: {e}", backend.name());
            }
            Err(e) => panic!("no {} sandbox on this host: {e}", backend.name()),
        }
    }
    shells
}

#[test]
fn an_action_can_be_cancelled_at_every_moment_and_the_next_runs() {
    let dir = tempfile::tempdir().unwrap();
    for (backend, mut shell) in shells(dir.path()) {
        for i in 0..30 {
            if i % 2 == 0 {
                // The next bash is there already.
                std::thread::sleep(Duration::from_millis(15));
            }
            let cancel = Cancel::new().unwrap();
            let later = cancel.clone();
            let canceller = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(i * i * 40));
                later.cancel();
            });
            let begun = Instant::now();
            let action = Action::bash("echo begun; sleep 60 & sleep 60").cancelled_by(&cancel);
            let seen = shell.act(&action).unwrap();
            assert_eq!((seen.outcome, seen.exit_code), (Outcome::Cancelled, 143), "{backend}: {i}: {seen:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{backend}: {i}: {:?}", begun.elapsed());
            canceller.join().unwrap();
            assert!(cancel.is_cancelled());
            assert_eq!(shell.run("echo on").unwrap().stdout.text(), "on\n", "{backend}: {i}");
        }
    }
}

#[test]
fn who_ignores_it_is_killed_and_what_was_done_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for (backend, mut shell) in shells(dir.path()) {
        let cancel = Cancel::new().unwrap();
        let later = cancel.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            later.cancel();
        });
        let script = "trap '' TERM INT; echo done > kept; while :; do sleep 0.05; done";
        let seen = shell.act(&Action::bash(script).cancelled_by(&cancel)).unwrap();
        assert_eq!((seen.outcome, seen.limits_hit.len()), (Outcome::Cancelled, 0), "{backend}: {seen:?}");
        canceller.join().unwrap();
        assert_eq!(shell.run("cat kept").unwrap().stdout.text(), "done\n", "{backend}");
    }
}

#[test]
fn what_was_cancelled_before_it_began_ends_and_what_ended_before_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for (backend, mut shell) in shells(dir.path()) {
        let cancel = Cancel::new().unwrap();
        let seen = shell.act(&Action::bash("echo all; exit 3").cancelled_by(&cancel)).unwrap();
        assert_eq!((seen.outcome, seen.exit_code), (Outcome::Exited, 3), "{backend}");
        cancel.cancel();
        cancel.cancel();
        let seen = shell.act(&Action::bash("sleep 60").cancelled_by(&cancel)).unwrap();
        assert_eq!(seen.outcome, Outcome::Cancelled, "{backend}");
        // Its time is over before anybody cancels.
        let cancel = Cancel::new().unwrap();
        let action = Action::bash("sleep 60").time(Duration::from_millis(50)).cancelled_by(&cancel);
        assert_eq!(shell.act(&action).unwrap().outcome, Outcome::TimedOut, "{backend}");
    }
}

#[test]
fn who_waits_can_be_asked_while_an_action_runs() {
    let dir = tempfile::tempdir().unwrap();
    for (backend, mut shell) in shells(dir.path()) {
        let asked = std::sync::Arc::new(AtomicU32::new(0));
        let here = std::thread::current().id();
        let count = asked.clone();
        let cancel = Cancel::when(move || {
            assert_eq!(std::thread::current().id(), here);
            count.fetch_add(1, Relaxed) >= 3
        });
        let cancel = cancel.unwrap();
        let never = Cancel::when(|| false).unwrap();
        let quick = shell.act(&Action::bash("sleep 0.2").cancelled_by(&never)).unwrap();
        assert!(quick.success() && !never.is_cancelled(), "{backend}: {quick:?}");
        let begun = Instant::now();
        let seen = shell.act(&Action::bash("sleep 60").cancelled_by(&cancel)).unwrap();
        assert_eq!(seen.outcome, Outcome::Cancelled, "{backend}: {seen:?}");
        assert_eq!(asked.load(Relaxed), 4, "{backend}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{backend}");
        assert_eq!(shell.run("echo on").unwrap().stdout.text(), "on\n", "{backend}");
    }
}
