//! What an action costs against a bare `bash -c`, and a whole `sbx exec` against bubblewrap.
//!
//! `cargo bench --bench actions -- 200`   (rounds; bubblewrap is a peer where it is installed)

mod paired;

use paired::{Peer, argument, bubblewrap, compare, compare_after, has_bubblewrap};
use sbx::{Action, Policy, Sandbox};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn main() {
    let rounds = argument(0).and_then(|a| a.parse().ok()).unwrap_or(100);
    let dir = tempfile::tempdir().expect("a workspace");
    for script in ["true", "ls | wc -l"] {
        compare(&format!("`{script}`, one after the other"), rounds, &mut warm(dir.path(), script));
        let thinking = Duration::from_millis(10);
        let title = format!("`{script}`, 10 ms after the one before");
        compare_after(&title, rounds, thinking, &mut warm(dir.path(), script));
    }
    // Each with bubblewrap alone: the kernel clears up after a third while the next one runs.
    for (title, ours) in [("a whole process", whole(dir.path())), ("in a program", within(dir.path()))] {
        let peers = bubble(dir.path()).into_iter().chain([ours]);
        compare(
            &format!("a sandbox of its own, {title}: `bash -c true`"),
            rounds,
            &mut peers.collect::<Vec<_>>(),
        );
    }
}

fn sandbox(dir: &Path) -> Sandbox {
    let policy = Policy::preset("whitelist").expect("a preset");
    Sandbox::open(&policy, dir).expect("a sandbox; see `sbx doctor`")
}

fn warm(dir: &Path, script: &'static str) -> Vec<Peer> {
    let mut sandbox = sandbox(dir);
    let act = move || assert!(sandbox.run(&Action::bash(script)).is_ok_and(|o| o.success()));
    vec![
        Peer::new("bare bash -c", move || bare("bash", &["-c", script])),
        Peer::new("in a live sandbox", act),
    ]
}

fn bubble(dir: &Path) -> Option<Peer> {
    let dir = dir.to_path_buf();
    has_bubblewrap().then(|| {
        Peer::new("bwrap --unshare-all … bash -c true", move || {
            let status = bubblewrap(&dir).args(["bash", "-c", "true"]).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|s| s.success()), "bubblewrap around {}", dir.display());
        })
    })
}

fn whole(dir: &Path) -> Peer {
    let place = dir.to_str().expect("a temporary directory has a plain name").to_owned();
    Peer::new("sbx exec -- bash -c true", move || {
        bare(env!("CARGO_BIN_EXE_sbx"), &["exec", "--workspace", &place, "--", "bash", "-c", "true"]);
    })
}

fn within(dir: &Path) -> Peer {
    let dir = dir.to_path_buf();
    Peer::new("library: open, run, drop", move || {
        assert!(sandbox(&dir).run(&Action::bash("true")).is_ok_and(|o| o.success()));
    })
}

fn bare(program: &str, args: &[&str]) {
    let status = paired::program(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "{program} {args:?}");
}
