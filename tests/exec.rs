//! The contract of `sbx exec`: exit statuses, the JSON object, stdin, limits.

mod world;

use std::io::Write;
use std::process::{Command, Stdio};
use world::{World, text};

#[test]
fn the_exit_status_is_the_commands_own() {
    let world = World::new();
    for (args, status) in [
        (&["--", "true"][..], 0),
        (&["--", "false"], 1),
        (&["-c", "exit 42"], 42),
        (&["--shell", "exit 3"], 3),
        (&["-c", "kill -9 $$"], 137),
        (&["-c", "kill -TERM $$"], 143),
        (&["--", "no-such-program"], 127),
        (&["--", ""], 127),
        (&["--", "./file.txt"], 126),
        (&["-c", "git push"], 126),
        (&["--timeout", "300ms", "--", "sleep", "20"], 124),
        (&["--policy", "no-such-preset", "--", "true"], 125),
        (&["--timeout", "9h", "--", "true"], 125),
        (&["--workspace", "/no/such/directory", "--", "true"], 125),
        (&["--no-such-option"], 2),
    ] {
        let output = world.exec(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn nobody_has_to_read_stderr() {
    let world = World::new();
    for (args, status) in [
        (&["--policy", "no-such-preset", "--", "true"][..], 125),
        (&["-c", "git push"], 126),
        (&["--timeout", "300ms", "--", "sleep", "20"], 124),
        (&["--timings", "--", "true"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut sbx = world.sbx();
        let output = sbx.arg("exec").args(args).stderr(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}");
    }
}

#[test]
fn the_object_has_every_key_of_its_schema() {
    let world = World::new();
    let object = world.json(&["-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((&object["schema"], &object["outcome"]), (&"sbx.exec/1".into(), &"exited".into()));
    assert_eq!(
        (&object["exit_code"], &object["stdout"], &object["stderr"]),
        (&7.into(), &"out\n".into(), &"err\n".into())
    );
    for key in [
        "truncated",
        "wall_s",
        "cpu_s",
        "max_rss_bytes",
        "limits_hit",
        "denied",
        "changes",
        "enforced",
        "missing",
        "policy",
        "backend",
    ] {
        assert!(!object[key].is_null(), "{key}");
    }
    for wall in ["user", "mount", "pid", "net", "seccomp", "noexec", "caps"] {
        assert!(object["enforced"].as_array().unwrap().iter().any(|w| w == wall), "{wall}");
    }
    assert_eq!(object["policy"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_program_outside_the_policy_is_not_found_and_says_what_is_allowed() {
    let world = World::new();
    let object = world.json(&["-c", "python3 -V"]);
    assert_eq!(object["exit_code"], 127);
    let denied = &object["denied"][0];
    assert_eq!((&denied["what"], &denied["rule"]), (&"python3".into(), &"commands.allow".into()));
    assert!(denied["hint"].as_str().unwrap().lines().count() <= 3);
}

#[test]
fn stdin_is_passed_through_from_pipe_and_file() {
    let world = World::new();
    let mut child =
        world.sbx().args(["exec", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"piped").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"piped");
    let file = std::fs::File::open(world.path("file.txt")).unwrap();
    let output = world.sbx().args(["exec", "-c", "read line; echo got $line"]).stdin(file).output().unwrap();
    assert_eq!(output.stdout, b"got one\n");
}

#[test]
fn limits_that_fire_are_named_and_output_so_far_is_kept() {
    let world = World::new();
    let object = world.json(&["--timeout", "2s", "-c", "echo before; sleep 20"]);
    assert_eq!(
        (&object["outcome"], &object["stdout"], &object["limits_hit"][0]),
        (&"timed_out".into(), &"before\n".into(), &"time".into())
    );
    let object = world.json(&["--output", "1 KiB", "-c", "seq 1 100000"]);
    assert!(
        object["stdout"].as_str().unwrap().len() < 1200
            && object["stdout"].as_str().unwrap().ends_with("\n100000\n")
    );
    assert!(object["truncated"]["stdout_bytes"].as_u64().unwrap() > 500_000);
    let object = world.json(&["--memory", "64 MiB", "-c", "x=a; while :; do x=$x$x; done"]);
    assert_ne!(object["exit_code"], 0, "{object}");
    let object = world.json(&["--processes", "8", "-c", "for i in $(seq 20); do sleep 20 & done; wait"]);
    assert!(object["stderr"].as_str().unwrap().contains("Resource temporarily unavailable"), "{object}");
}

#[test]
fn long_scripts_and_arguments_and_binary_output_pass() {
    let world = World::new();
    let script = format!("x={}; echo ${{#x}}", "a".repeat(300_000));
    let mut child = world
        .sbx()
        .args(["exec", "--", "bash", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"300000\n");
    let many: Vec<String> = (0..16).map(|_| "b".repeat(64 << 10)).collect();
    let mut args = vec!["-c", "true", "--"];
    args.clear();
    args.extend(["--", "bash", "-c", "echo $# ${#1}", "x"]);
    args.extend(many.iter().map(String::as_str));
    assert_eq!(world.exec(&args).stdout, b"16 65536\n");
    assert_eq!(world.exec(&["-c", "printf '\\377\\000\\n'"]).stdout, b"\xff\x00\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_of_ours() {
    let world = World::new();
    for json in [&["exec", "-c", "seq 1 300000"][..], &["exec", "--json", "-c", "seq 1 300000"]] {
        let mut child = world.sbx().args(json).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
    }
}

#[test]
fn who_writes_to_a_reader_that_went_away_is_told_so() {
    let world = World::new();
    let started = std::time::Instant::now();
    for _ in 0..3 {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut sbx = world.sbx();
        let script = "while sleep 0.05; do echo a; done";
        let mut child = sbx.args(["exec", "--timeout", "30s", "-c", script]).stdout(writer).spawn().unwrap();
        drop(sbx);
        std::io::Read::read_exact(&mut reader, &mut [0; 2]).unwrap();
        drop(reader);
        // 128 + SIGPIPE, as of a bash outside.
        assert_eq!(child.wait().unwrap().code(), Some(141));
    }
    assert!(started.elapsed().as_secs() < 25);
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    let world = World::new();
    for name in ["./file.txt", "."] {
        for _ in 0..2 {
            let output = world.exec(&["--", name]);
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(126), "{name}: {stderr}");
            assert!(stderr.contains(name) && stderr.contains("os error"), "{name}: {stderr}");
        }
    }
}

#[test]
fn an_action_takes_from_a_file_as_stdin_only_what_it_reads() {
    let world = World::new();
    let list: String = (0..2000).map(|n| format!("line {n}\n")).collect();
    std::fs::write(world.path("list"), &list).unwrap();
    let script = "n=0; while read -r line; do \"$0\" exec -- true; n=$((n + 1)); [ $n = 3 ] && break; done; echo \"$line\"";
    let run = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-c", script, env!("CARGO_BIN_EXE_sbx")]).current_dir(world.workspace());
        let list = std::fs::File::open(world.path("list")).unwrap();
        text(&bash.stdin(list).output().unwrap().stdout)
    };
    assert_eq!(run(script), "line 2\n");
    assert_eq!(run("\"$0\" exec -c 'read a; read b; echo $b'; read c; echo $c"), "line 1\nline 2\n");
    assert_eq!(run("\"$0\" exec -- cat | tail -n 1; cat"), "line 1999\n");
}

#[test]
fn a_limit_that_kills_is_named() {
    let world = World::new();
    let output = world.exec(&["--changes", "discard", "-c", "exec yes"]);
    assert_eq!(output.status.code(), Some(137));
    assert!(text(&output.stderr).contains("limit reached: output"), "{}", text(&output.stderr));
    let output = world.exec(&["--changes", "discard", "-c", "truncate -s 9G sparse"]);
    assert!(text(&output.stderr).contains("limit reached: workspace"), "{}", text(&output.stderr));
}

#[test]
fn a_policy_file_with_a_mistake_names_file_line_and_key() {
    let world = World::new();
    let policy = world.dir.path().join("mine.toml");
    for (body, expected) in [
        (
            "extends = \"whitelist\"\n[limits]\nmemory = \"1 gig\"\n",
            "mine.toml:3: limits.memory: expected a size such as \"1 GiB\"",
        ),
        ("extends = \"whitelist\"\n[comands]\nallow = []\n", "did you mean \"commands\"?"),
        ("extends = \"whitelst\"\n", "mine.toml:1: extends: expected one of"),
        ("[limits]\ntime = 60\n", "mine.toml:2: limits.time: expected a time such as \"60s\""),
    ] {
        std::fs::write(&policy, body).unwrap();
        let output = world.exec(&["--policy", policy.to_str().unwrap(), "--", "true"]);
        assert_eq!(output.status.code(), Some(125));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn too_few_descriptors_are_said_to_be_too_few() {
    let world = World::new();
    let mut sh = Command::new("sh");
    sh.args(["-c", "ulimit -n 40; exec \"$0\" exec -- true", env!("CARGO_BIN_EXE_sbx")]);
    let refused = sh.current_dir(world.workspace()).output().expect("sh");
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("raise `ulimit -n`"), "{}", text(&refused.stderr));
}
