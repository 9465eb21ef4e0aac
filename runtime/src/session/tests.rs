//! The semantics that agent frameworks expect of a persistent bash.

use super::*;
use std::fs;

fn session() -> Option<(tempfile::TempDir, Session)> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.txt"), "one\n").unwrap();
    match Session::open(&Policy::preset("whitelist").unwrap(), dir.path()) {
        Ok(session) => Some((dir, session)),
        Err(e) if std::env::var_os("SBX_MUST_WORK").is_none() => {
            eprintln!("SKIPPED: no sandbox on this host: {e}");
            None
        }
        Err(e) => panic!("no sandbox on this host: {e}"),
    }
}

fn said(session: &mut Session, script: &str) -> (String, i32) {
    let seen = session.run(script).unwrap();
    (seen.stdout.text(), seen.exit_code)
}

#[test]
fn variables_directory_functions_and_status_stay() {
    let Some((_dir, mut s)) = session() else { return };
    assert_eq!(said(&mut s, "n=5; f() { echo f$n; }; mkdir sub; cd sub"), (String::new(), 0));
    assert_eq!(said(&mut s, "f; basename $PWD"), ("f5\nsub\n".into(), 0));
    assert_eq!(said(&mut s, "false"), (String::new(), 1));
    assert_eq!(said(&mut s, "echo $?"), ("1\n".into(), 0));
    assert!(s.cwd().to_string_lossy().ends_with("/sub"));
    assert_eq!(said(&mut s, "exec 5>out; echo x >&5; exec 5>&-; cat out"), ("x\n".into(), 0));
}

#[test]
fn the_end_is_found_whatever_a_script_prints() {
    let Some((_dir, mut s)) = session() else { return };
    for (script, output, status) in [
        ("", "", 0),
        ("   \n\n", "", 0),
        ("# nothing", "", 0),
        ("printf 'no end of line'", "no end of line", 0),
        ("printf '\\0a\\0'", "\0a\0", 0),
        ("cat <<'E'\n$x 'y\nE", "$x 'y\n", 0),
        ("echo 'it'\\''s'", "it's\n", 0),
        ("for i in 1 2; do\n  echo $i\ndone", "1\n2\n", 0),
        ("break 2>/dev/null; echo on", "on\n", 0),
        ("(exit 3)", "", 3),
        ("bash -c 'kill -9 $$'", "Killed", 137),
        ("echo out; echo err >&2", "out\nerr\n", 0),
        ("exec 1>/dev/null; echo hidden; exec 1>&2", "", 0),
        ("echo back", "back\n", 0),
        ("[ -t 0 ] && [ -t 1 ] && echo terminal", "terminal\n", 0),
        ("echo $TERM $PAGER", "dumb cat\n", 0),
        ("printf '\\303\\050'", "\u{fffd}(", 0),
        ("return 4", "bash: return: can only `return' from a function or sourced script\n", 2),
    ] {
        let (found, code) = said(&mut s, script);
        assert_eq!(code, status, "{script}: {found}");
        assert!(found == output || status == 137 && found.contains(output), "{script}: {found:?}");
    }
    assert_eq!(s.restarts(), 0);
}

#[test]
fn a_syntax_error_leaves_the_session_usable() {
    let Some((_dir, mut s)) = session() else { return };
    for script in
        ["if true", "echo 'open", "echo \"open", "echo ${", "echo `", "echo $(", ")", "((", "cat <<E\nno end"]
    {
        let (found, _) = said(&mut s, script);
        assert!(script.starts_with("cat") || found.contains("bash: "), "{script}: {found:?}");
    }
    assert_eq!(said(&mut s, "echo fine"), ("fine\n".into(), 0));
}

#[test]
fn a_time_out_interrupts_and_keeps_the_session() {
    let Some((_dir, mut s)) = session() else { return };
    said(&mut s, "n=7");
    for script in ["sleep 60", "while :; do :; done", "cat", "sleep 60 | cat"] {
        let seen = s.run_for(format!("echo begun; {script}"), Duration::from_secs(1)).unwrap();
        assert_eq!((seen.outcome, seen.exit_code), (Outcome::TimedOut, 124), "{script}");
        assert!(seen.stdout.text().starts_with("begun\n"), "{script}: {:?}", seen.stdout.text());
        assert_eq!(seen.limits_hit, ["time"]);
        assert_eq!(said(&mut s, "echo $n"), ("7\n".into(), 0), "after {script}");
    }
    assert_eq!(s.restarts(), 0);
}

#[test]
fn what_heeds_no_interrupt_is_killed_and_bash_starts_again() {
    let Some((_dir, mut s)) = session() else { return };
    said(&mut s, "n=7; touch kept");
    let script = "trap '' INT QUIT; bash -c 'trap \"\" INT QUIT; while :; do sleep 1; done'";
    let seen = s.run_for(script, Duration::from_secs(1)).unwrap();
    assert_eq!(seen.outcome, Outcome::TimedOut);
    assert!(seen.stdout.text().contains("started again"));
    assert_eq!(said(&mut s, "echo n=$n; ls kept"), ("n=\nkept\n".into(), 0));
    assert_eq!(s.restarts(), 1);
}

#[test]
fn exit_ends_bash_and_the_next_script_has_a_new_one() {
    let Some((_dir, mut s)) = session() else { return };
    assert_eq!(said(&mut s, "n=1; exit 3").1, 3);
    assert_eq!(said(&mut s, "echo n=$n"), ("n=\n".into(), 0));
    assert_eq!(s.restarts(), 1);
}

#[test]
fn a_program_that_waits_gets_what_is_typed() {
    let Some((_dir, mut s)) = session() else { return };
    s.start("read -r line; echo got $line").unwrap();
    let Waited::Running = s.wait(Duration::from_secs(20), Some(Duration::from_millis(150))).unwrap() else {
        panic!("it waits for a line")
    };
    assert!(s.run("echo no").unwrap_err().to_string().contains("still running"));
    s.send("hello\n").unwrap();
    let Waited::Ended(seen) = s.wait(Duration::from_secs(20), None).unwrap() else {
        panic!("it has its line")
    };
    assert_eq!(seen.stdout.text(), "got hello\n");
    s.start("cat").unwrap();
    let Waited::Running = s.wait(Duration::from_secs(1), None).unwrap() else { panic!("it waits") };
    s.interrupt().unwrap();
    let Waited::Ended(seen) = s.wait(Duration::from_secs(20), None).unwrap() else {
        panic!("it was interrupted")
    };
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Signaled, 130));
}

/// Looks until a script that nobody waits for has made a file.
fn until_there_is(session: &Session, name: &str) {
    let begun = Instant::now();
    while !session.changes().unwrap().diff_text().contains(name) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} is not there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_script_begins_before_anybody_waits_for_it() {
    let Some((_dir, mut s)) = session() else { return };
    s.start("echo x > begun; sleep 60").unwrap();
    until_there_is(&s, "begun");
    let begun = Instant::now();
    let seen = loop {
        // Bash itself takes one that comes while it starts a program.
        s.interrupt().unwrap();
        match s.wait(Duration::from_millis(500), None).unwrap() {
            Waited::Ended(seen) => break seen,
            Waited::Running => assert!(begun.elapsed() < Duration::from_secs(30), "it was interrupted"),
        }
    };
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Signaled, 130));
    let long = format!("x='{}'; echo ${{#x}}", "a".repeat(1 << 20));
    s.start(&long).unwrap();
    let Waited::Ended(seen) = s.wait(Duration::from_secs(20), None).unwrap() else { panic!("it ends") };
    assert_eq!(seen.stdout.text(), "1048576\n", "what bash did not take at once it takes later");
}

#[test]
fn a_wait_without_time_finds_the_end() {
    let Some((_dir, mut s)) = session() else { return };
    s.start("seq 800; echo x > done").unwrap();
    until_there_is(&s, "done");
    let begun = Instant::now();
    let seen = loop {
        match s.wait(Duration::ZERO, None).unwrap() {
            Waited::Ended(seen) => break seen,
            Waited::Running => assert!(begun.elapsed() < Duration::from_secs(60), "it has ended"),
        }
    };
    assert!(seen.stdout.text().ends_with("\n800\n"));
}

#[test]
fn a_wait_need_have_no_bound() {
    let Some((dir, mut s)) = session() else { return };
    for quiet in [None, Some(Duration::MAX)] {
        s.start("echo x").unwrap();
        let Waited::Ended(seen) = s.wait(Duration::MAX, quiet).unwrap() else { panic!("it has ended") };
        assert_eq!(seen.stdout.text(), "x\n");
    }
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.time = Duration::MAX;
    assert!(Session::open(&policy, dir.path()).unwrap().run("true").unwrap().success());
    let mut sandbox = Sandbox::open(&policy, dir.path()).unwrap();
    assert!(sandbox.command("true").time(Duration::MAX).output().unwrap().success());
}

#[test]
fn an_end_that_ctrl_c_took_off_the_terminal_is_known() {
    let Some((_dir, mut s)) = session() else { return };
    for _ in 0..5 {
        s.start("seq 1200; echo x > done").unwrap();
        until_there_is(&s, "done");
        std::thread::sleep(Duration::from_millis(100));
        s.interrupt().unwrap();
        let Waited::Ended(_) = s.wait(Duration::from_millis(100), None).unwrap() else {
            panic!("it has ended")
        };
    }
}

#[test]
fn what_ended_within_the_limit_is_not_timed_out_by_a_late_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.time = Duration::from_secs(1);
    let Some((_, _)) = session() else { return };
    let mut s = Session::open(&policy, dir.path()).unwrap();
    s.start("seq 1200").unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let Waited::Ended(seen) = s.wait(Duration::from_secs(5), None).unwrap() else { panic!("it has ended") };
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Exited, 0), "{:?}", seen.limits_hit);
    assert!(seen.stdout.text().ends_with("\n1200\n"));
}

#[test]
fn background_jobs_live_as_long_as_the_session() {
    let Some((_dir, mut s)) = session() else { return };
    said(&mut s, "sleep 100 & echo $! > pid");
    assert_eq!(said(&mut s, "kill -0 $(cat pid) && jobs | wc -l"), ("1\n".into(), 0));
    let (found, _) = said(&mut s, "kill %1; wait %1 2>/dev/null; jobs -r | wc -l");
    assert!(found.ends_with("0\n"), "{found:?}");
}

#[test]
fn long_scripts_and_odd_bytes_arrive_whole() {
    let Some((_dir, mut s)) = session() else { return };
    let long = format!("x='{}'; echo ${{#x}}", "a".repeat(1 << 20));
    assert_eq!(said(&mut s, &long), ("1048576\n".into(), 0));
    let script = OsStr::from_bytes(b"printf '%s' '\xff\xfe' | od -An -tx1");
    assert_eq!(s.run(script).unwrap().stdout.text(), " ff fe\n");
    assert!(s.run("a\0b").unwrap_err().to_string().contains("NUL"));
}

#[test]
fn files_are_read_and_written_in_the_sandbox() {
    let Some((dir, mut s)) = session() else { return };
    said(&mut s, "false");
    assert_eq!(s.read_file("file.txt", 100).unwrap(), b"one\n");
    let bytes: Vec<u8> = (0..=255u8).cycle().take(3 << 20).collect();
    s.write_file("new/dir/it's", &bytes).unwrap();
    assert_eq!(s.read_file("new/dir/it's", 4 << 20).unwrap(), bytes);
    assert_eq!(said(&mut s, "echo $?; wc -c < \"new/dir/it's\""), ("1\n3145728\n".into(), 0));
    assert!(!dir.path().join("new").exists(), "the workspace itself is not written");
    assert!(matches!(s.read_file("nowhere", 9), Err(FileError::NotFound(_))));
    assert!(matches!(s.read_file(".", 9), Err(FileError::IsDirectory(_))));
    assert!(matches!(s.write_file(".", b"x"), Err(FileError::IsDirectory(_))));
    said(&mut s, "kept=yes");
    assert!(matches!(s.read_file("new/dir/it's", 1000), Err(FileError::TooLarge { .. })));
    assert_eq!(said(&mut s, "echo $kept"), ("yes\n".into(), 0), "the session is the same");
    assert!(matches!(s.write_file("/usr/bin/x", &bytes), Err(FileError::Denied(_))));
    assert!(matches!(s.read_file("/etc/shadow", 9), Err(FileError::NotFound(_))));
    said(&mut s, "ln -s /etc/passwd link; ln -s /nowhere/x broken");
    assert!(matches!(s.write_file("link", b"x"), Err(FileError::Denied(_))));
    assert_eq!(said(&mut s, "echo usable"), ("usable\n".into(), 0));
}

#[test]
fn files_do_not_mind_what_a_script_has_set() {
    let Some((_dir, mut s)) = session() else { return };
    for script in [
        "set -e",
        "set -C",
        "set -u",
        "set -f",
        "set -x",
        "exit() { :; }; cd() { :; }",
        "trap 'echo !' ERR DEBUG",
    ] {
        let (_, status) = said(&mut s, &format!("n=5; {script}"));
        assert_eq!(status, 0, "{script}");
        for bytes in [b"new".repeat(50_000), b"shorter".to_vec()] {
            s.write_file("f", &bytes).unwrap();
            assert_eq!(s.read_file("f", 1 << 20).unwrap(), bytes, "{script}");
        }
        assert!(matches!(s.read_file("absent", 9), Err(FileError::NotFound(_))), "{script}");
        assert!(matches!(s.write_file(".", b""), Err(FileError::IsDirectory(_))), "{script}");
        assert_eq!(
            (said(&mut s, "builtin exit $n").1, s.restarts()),
            (5, 1),
            "{script}: bash is still the same"
        );
        s = session().unwrap().1;
    }
}

#[test]
fn a_flood_is_cut_and_interrupted() {
    let Some((_dir, mut s)) = session() else { return };
    let seen = s.run("seq 200000").unwrap();
    assert_eq!((seen.exit_code, seen.limits_hit.as_slice()), (0, &["output".to_string()][..]));
    assert!(seen.stdout.text().starts_with("1\n2\n") && seen.stdout.text().ends_with("200000\n"));
    let seen = s.run("yes").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::OutputLimit, 137));
    assert_eq!(said(&mut s, "echo usable"), ("usable\n".into(), 0));
}

#[test]
fn dropping_a_session_ends_what_it_started() {
    let Some((_dir, mut s)) = session() else { return };
    let mark = format!("{}.5", 100_000 + std::process::id());
    // Both sleeps take the mark when they have started, which bash does not wait for.
    said(&mut s, &format!("sleep {mark} & setsid sleep {mark} &"));
    let alive = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|e| fs::read(e.path().join("cmdline")).ok())
            .filter(|line| line.windows(mark.len()).any(|w| w == mark.as_bytes()))
            .count()
    };
    let begun = std::time::Instant::now();
    while alive() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "they did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(s);
    assert_eq!(alive(), 0);
}

#[test]
fn two_hundred_sessions_live_at_once() {
    let Some((dir, first)) = session() else { return };
    // A session takes six descriptors, and many hosts allow a process a thousand until it asks for more.
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    if limit.maximum.is_some_and(|most| most < 2_000) {
        eprintln!("SKIPPED: this user may not open two thousand files");
        return;
    }
    let policy = Policy::preset("whitelist").unwrap();
    let mut sessions = vec![first];
    sessions.extend((1..200).map(|_| Session::open(&policy, dir.path()).unwrap()));
    for (n, session) in sessions.iter_mut().enumerate() {
        session.run(format!("n={n}; echo $n > mine")).unwrap();
    }
    for (n, session) in sessions.iter_mut().enumerate() {
        assert_eq!(said(session, "echo $n; cat mine"), (format!("{n}\n{n}\n"), 0));
    }
}
