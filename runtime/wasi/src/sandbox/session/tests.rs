//! The semantics that agent frameworks expect of a persistent bash: those of the native session.

use super::*;
use sbx_runtime::FileError;
use std::fs;

fn session() -> (tempfile::TempDir, Session) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.txt"), "one\n").unwrap();
    let session = Session::open(&Policy::preset("whitelist").unwrap(), dir.path()).unwrap();
    (dir, session)
}

fn said(session: &mut Session, script: &str) -> (String, i32) {
    let seen = session.run(script).unwrap();
    (seen.stdout.text(), seen.exit_code)
}

#[test]
fn variables_directory_functions_and_status_stay() {
    let (_dir, mut s) = session();
    assert_eq!(said(&mut s, "n=5; f() { echo f$n; }; mkdir sub; cd sub"), (String::new(), 0));
    assert_eq!(said(&mut s, "f; basename $PWD"), ("f5\nsub\n".into(), 0));
    assert_eq!(said(&mut s, "false"), (String::new(), 1));
    assert_eq!(said(&mut s, "echo $?"), ("1\n".into(), 0));
    assert!(s.cwd().to_string_lossy().ends_with("/sub"));
    assert_eq!(said(&mut s, "exec 5>out; echo x >&5; exec 5>&-; cat out"), ("x\n".into(), 0));
    assert_eq!(said(&mut s, "alias l=ls"), (String::new(), 0));
    assert_eq!(said(&mut s, "l; l | cat"), ("out\nout\n".into(), 0));
}

#[test]
fn a_script_says_what_it_says_in_a_native_session() {
    let (_dir, mut s) = session();
    for (script, output, status) in [
        ("", "", 0),
        ("   \n\n", "", 0),
        ("# nothing", "", 0),
        ("printf 'no end of line'", "no end of line", 0),
        ("cat <<'E'\n$x 'y\nE", "$x 'y\n", 0),
        ("for i in 1 2; do\n  echo $i\ndone", "1\n2\n", 0),
        ("(exit 3)", "", 3),
        ("echo out; echo err >&2", "out\nerr\n", 0),
        ("exec 1>/dev/null; echo hidden; exec 1>&2", "", 0),
        ("echo back", "back\n", 0),
        ("[ -t 0 ] && [ -t 1 ] && echo terminal", "terminal\n", 0),
        ("echo $TERM $PAGER $0 $BASH_SUBSHELL", "dumb cat bash 0\n", 0),
        ("return 4", "bash: return: can only `return' from a function or sourced script\n", 2),
        ("nosuch", "bash: nosuch: command not found\n", 127),
        ("f() { nosuch; }; f", "bash: nosuch: command not found\n", 127),
        ("echo $(nosuch)", "bash: nosuch: command not found\n\n", 0),
        ("cd /nosuch; echo $?", "bash: cd: /nosuch: No such file or directory\n1\n", 0),
        (")", "bash: syntax error near unexpected token `)'\n", 2),
        ("if true", "bash: syntax error: unexpected end of file\n", 2),
        ("echo \"open", "bash: unexpected EOF while looking for matching `\"'\n", 2),
        ("((", "bash: unexpected EOF while looking for matching `)'\n", 2),
        ("bash -c nosuch", "bash: line 1: nosuch: command not found\n", 127),
        ("${x?no}; echo after", "bash: x: no\n", 1),
    ] {
        assert_eq!(said(&mut s, script), (output.into(), status), "{script}");
    }
    assert_eq!(s.restarts(), 0);
}

#[test]
fn a_time_out_interrupts_and_keeps_the_session() {
    let (_dir, mut s) = session();
    said(&mut s, "n=7");
    for script in ["sleep 60", "while :; do :; done", "cat", "sleep 60 | cat", "yes > /dev/null"] {
        let seen = s.run_for(script, Duration::from_millis(500)).unwrap();
        assert_eq!((seen.outcome, seen.exit_code), (Outcome::TimedOut, 124), "{script}");
        assert_eq!(seen.limits_hit, ["time"]);
        assert_eq!(said(&mut s, "echo $n"), ("7\n".into(), 0), "after {script}");
    }
    said(&mut s, "trap 'echo trapped' INT");
    let seen = s.run_for("sleep 60; echo after", Duration::from_millis(500)).unwrap();
    assert_eq!(seen.stdout.text(), "trapped\nafter\n");
    assert_eq!(s.restarts(), 0);
}

#[test]
fn what_heeds_no_interrupt_is_ended_and_the_shell_starts_again() {
    let (_dir, mut s) = session();
    said(&mut s, "n=7; touch kept; trap '' INT");
    let seen = s.run_for("while :; do sleep 1; done", Duration::from_millis(300)).unwrap();
    assert_eq!(seen.outcome, Outcome::TimedOut);
    assert!(seen.stdout.text().contains("started again"));
    assert_eq!(said(&mut s, "echo n=$n; ls kept"), ("n=\nkept\n".into(), 0));
    assert_eq!(s.restarts(), 1);
}

#[test]
fn exit_ends_the_shell_and_the_next_script_has_a_new_one() {
    let (_dir, mut s) = session();
    assert_eq!(said(&mut s, "trap 'echo bye' EXIT; n=1; exit 3"), ("bye\n".into(), 3));
    assert_eq!(said(&mut s, "echo n=$n"), ("n=\n".into(), 0));
    let seen = s.run("kill -9 $$").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Signaled, 137));
    assert_eq!(s.restarts(), 2);
}

#[test]
fn a_program_that_waits_gets_what_is_typed() {
    let (_dir, mut s) = session();
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
    let Waited::Running = s.wait(Duration::from_millis(300), None).unwrap() else { panic!("it waits") };
    s.interrupt().unwrap();
    let Waited::Ended(seen) = s.wait(Duration::from_secs(20), None).unwrap() else {
        panic!("it was interrupted")
    };
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Signaled, 130));
    s.start("cat").unwrap();
    s.send("line\n\u{4}").unwrap();
    let Waited::Ended(seen) = s.wait(Duration::from_secs(20), None).unwrap() else { panic!("it has ended") };
    assert_eq!(seen.stdout.text(), "line\n");
}

#[test]
fn a_wait_need_have_no_bound() {
    let (_dir, mut s) = session();
    for quiet in [None, Some(Duration::MAX)] {
        s.start("echo x").unwrap();
        assert!(matches!(s.wait(Duration::MAX, quiet).unwrap(), Waited::Ended(_)));
    }
}

#[test]
fn background_jobs_live_as_long_as_the_session() {
    let (_dir, mut s) = session();
    assert!(said(&mut s, "sleep 100 & echo $! > pid").0.starts_with("[1] "));
    assert_eq!(said(&mut s, "kill -0 $(cat pid) && jobs | wc -l"), ("1\n".into(), 0));
    let seen = s.run_for("sleep 60", Duration::from_millis(200)).unwrap();
    assert_eq!(seen.outcome, Outcome::TimedOut);
    assert_eq!(said(&mut s, "jobs -r | wc -l").0, "1\n", "an interrupt is for the foreground");
    let (found, _) = said(&mut s, "kill %1; wait %1 2>/dev/null; jobs -r | wc -l");
    assert!(found.contains("0\n"), "{found:?}");
    assert!(said(&mut s, "(echo late > file) & wait; cat file").0.contains("late\n"));
}

#[test]
fn files_are_read_and_written_in_the_tree() {
    let (dir, mut s) = session();
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
    assert!(matches!(s.read_file("new/dir/it's", 1000), Err(FileError::TooLarge { .. })));
    assert!(matches!(s.write_file("/usr/bin/x", &bytes), Err(FileError::Denied(_))));
    assert!(matches!(s.read_file("/etc/shadow", 9), Err(FileError::NotFound(_))));
    said(&mut s, "ln -s /etc/passwd link; ln -s /nowhere/x broken");
    assert!(matches!(s.write_file("link", b"x"), Err(FileError::Denied(_))));
    assert!(s.changes().unwrap().diff_text().contains("new/dir/it"));
}

#[test]
fn a_flood_is_cut_and_interrupted_and_memory_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.memory = sbx_runtime::ByteSize(96 << 20);
    let mut s = Session::open(&policy, dir.path()).unwrap();
    let seen = s.run("seq 200000").unwrap();
    assert_eq!((seen.exit_code, seen.limits_hit.as_slice()), (0, &["output".to_string()][..]));
    assert!(seen.stdout.text().starts_with("1\n2\n") && seen.stdout.text().ends_with("200000\n"));
    let seen = s.run("yes").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::OutputLimit, 137));
    let seen = s.run("awk 'BEGIN { x = \"a\"; while (1) x = x x }'").unwrap();
    assert_eq!(seen.outcome, Outcome::OutOfMemory);
    assert!(seen.limits_hit.contains(&"memory".to_string()), "{seen:?}");
    let seen = s.run("echo usable").unwrap();
    assert_eq!((seen.stdout.text(), seen.limits_hit.len()), ("usable\n".into(), 0));
    assert!(s.run("a\0b").unwrap_err().to_string().contains("NUL"));
}

#[test]
fn two_hundred_sessions_live_at_once() {
    let (dir, first) = session();
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

#[test]
fn what_has_ended_is_found_by_a_wait_that_is_late_or_has_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = Policy::preset("whitelist").unwrap();
    policy.limits.time = Duration::from_secs(1);
    let mut s = Session::open(&policy, dir.path()).unwrap();
    s.start("echo ran").unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let Waited::Ended(seen) = s.wait(Duration::ZERO, None).unwrap() else { panic!("it has ended") };
    assert_eq!((seen.outcome, seen.exit_code, seen.stdout.text()), (Outcome::Exited, 0, "ran\n".into()));
}
