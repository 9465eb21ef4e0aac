//! The contract of `sbx exec` without native processes: the same statuses, object, changes and refusals.

mod world;

use sbx_agent::{Script, ScriptedServer, Turns};
use std::io::Write;
use std::process::{Command, Stdio};
use world::{World, text};

const WASI: [&str; 2] = ["--backend", "wasi"];

#[test]
fn exit_statuses_are_those_of_a_native_sandbox() {
    let world = World::new();
    for (args, status) in [
        (&["--", "true"][..], 0),
        (&["--", "false"], 1),
        (&["-c", "exit 42"], 42),
        (&["--shell", "exit 3"], 3),
        (&["-c", "kill -9 $$"], 137),
        (&["-c", "kill -TERM $$"], 143),
        (&["--", "no-such-program"], 127),
        (&["--", "./file.txt"], 126),
        (&["-c", "git push"], 126),
        (&["--timeout", "300ms", "--", "sleep", "20"], 124),
        (&["--timeout", "9h", "--", "true"], 125),
        (&["--workspace", "/no/such/directory", "--", "true"], 125),
    ] {
        let output = world.exec(&[&WASI[..], args].concat());
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn the_object_tells_the_backend_and_its_walls() {
    let world = World::new();
    let object = world.json(&["--policy", "paranoid", "-c", "echo out; nonesuch"]);
    assert_eq!((&object["backend"], &object["exit_code"]), (&"wasi".into(), &127.into()));
    assert_eq!(object["stdout"], "out\n");
    assert_eq!(object["denied"][0]["what"], "nonesuch");
    assert!(object["enforced"].as_array().is_some_and(|walls| walls.contains(&"no-processes".into())));
    assert_eq!(world.json(&["-c", "true"])["backend"], "native");
}

#[test]
fn changes_are_committed_discarded_or_written_as_a_patch() {
    let world = World::new();
    let run = |fate: &str, script: &str| {
        let output = world.exec(&["--backend", "wasi", "--changes", fate, "-c", script]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let file = || std::fs::read_to_string(world.path("file.txt")).unwrap();
    run("discard", "echo two >> file.txt");
    assert_eq!(file(), "one\n");
    let patch = world.dir.path().join("changes.patch");
    run(patch.to_str().unwrap(), "echo two >> file.txt");
    assert!(std::fs::read_to_string(&patch).unwrap().contains("+two\n"));
    assert_eq!(file(), "one\n");
    run(
        "commit",
        "echo two >> file.txt; mkdir d; mv file.txt d/; ln -s d/file.txt link; chmod 755 d/file.txt",
    );
    assert_eq!(std::fs::read_to_string(world.path("link")).unwrap(), "one\ntwo\n");
    assert!(!world.path("file.txt").exists());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&world.path("d/file.txt").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn what_could_harm_is_withheld_from_the_commit() {
    let world = World::new();
    let script = "mkdir -p .git/hooks; echo x > .git/hooks/pre-commit; ln -s /etc/passwd out; echo y > kept";
    let object = world.json(&["--backend", "wasi", "-c", script]);
    let withheld = object["changes"]["withheld"].to_string();
    assert!(withheld.contains("hooks") && withheld.contains("out"), "{withheld}");
    assert!(world.path("kept").exists() && !world.path("out").is_symlink());
}

#[test]
fn input_is_passed_through_and_output_as_it_comes() {
    let world = World::new();
    let mut child = world
        .sbx()
        .args(["exec", "--backend", "wasi", "-c", "sort | head -n 2; echo err >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"c\nb\na\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("a\nb\n", "err\n"));
}

#[test]
fn a_policy_that_needs_a_process_is_refused_by_its_key() {
    let world = World::new();
    for (policy, key) in [("python", "commands.allow"), ("build", "exec"), ("rust", "exec")] {
        let output = world.exec(&["--policy", policy, "--backend", "wasi", "-c", "true"]);
        assert_eq!(output.status.code(), Some(125), "{policy}");
        let said = text(&output.stderr);
        assert!(said.contains(&format!("{policy}: ")) && said.contains("wasi"), "{key}: {said}");
    }
    let output = world.exec(&["--policy", "paranoid", "--backend", "native", "-c", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("--backend native"));
}

#[test]
fn a_policy_file_names_its_backend() {
    let world = World::new();
    let file = world.dir.path().join("own.toml");
    std::fs::write(&file, "extends = \"whitelist\"\nbackend = \"wasi\"\n").unwrap();
    assert_eq!(world.json(&["--policy", file.to_str().unwrap(), "-c", "true"])["backend"], "wasi");
    std::fs::write(&file, "extends = \"paranoid\"\nbackend = \"native\"\n").unwrap();
    let output = world.exec(&["--policy", file.to_str().unwrap(), "-c", "true"]);
    assert!(text(&output.stderr).contains("loosens = [\"backend\"]"), "{}", text(&output.stderr));
}

/// Rollouts of the demo's task by a scripted model, without processes; what the journal keeps of the first.
fn rollout(harness: &str, replies: &[String]) -> sbx_records::Rollout {
    let world = World::new();
    let repository = world.dir.path().join("repos/demo/semver");
    std::fs::create_dir_all(repository.parent().unwrap()).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/repo")).arg(&repository);
    assert!(copy.status().unwrap().success());
    for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "semver 1.2.0"]] {
        let mut git = Command::new("git");
        git.arg("-C").arg(&repository).args(["-c", "user.name=demo", "-c", "user.email=d@e"]).args(args);
        assert!(git.status().unwrap().success());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let script = Script { rollouts: vec![Turns { replies: replies.to_vec() }] };
    let server = runtime.block_on(ScriptedServer::start(script)).unwrap();
    let output = world
        .sbx()
        .args(["agent", "--backend", "wasi", "--model", "scripted", "--out", "out", "--cache", "cache"])
        .args(["--tasks", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/tasks.jsonl")])
        .args(["--harness", harness, "--base-url", &server.base_url(), "--repos"])
        .arg(world.dir.path().join("repos"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{harness}: {}", text(&output.stderr));
    let mut all = Vec::new();
    sbx_records::read_journal(&world.path("out"), |rollout| all.push(rollout)).unwrap();
    let rollout = all.remove(0);
    assert!(rollout.enforced.contains(&"no-processes".into()), "{harness}: {:?}", rollout.enforced);
    rollout
}

/// Whether a rollout ended with a patch of one line, and what its model saw.
fn assert_fixed(harness: &str, rollout: &sbx_records::Rollout) -> String {
    let seen: Vec<&str> = rollout.messages.iter().map(|m| m.content.as_str()).collect();
    let seen = seen.join("\n");
    let end = (rollout.exit_status, rollout.exit_status_detail.as_str());
    assert_eq!(rollout.exit_status, sbx_records::ExitStatus::Submitted, "{harness}: {end:?}: {seen}");
    assert!(rollout.patch.contains("+# mended"), "{harness}: {}", rollout.patch);
    seen
}

#[test]
fn harnesses_that_start_a_bash_for_each_action_need_no_process() {
    let reply = |command: &str| format!("THOUGHT: next.\n\n```bash\n{command}\n```");
    let replies = [
        reply("grep -rn 'def _pre_key' --include='*.py' . && python3 -V"),
        reply("sed -i '1i # mended' semver/version.py && git diff --stat"),
        reply("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"),
    ];
    for harness in ["swe-zero", "mini", "mini2"] {
        let seen = assert_fixed(harness, &rollout(harness, &replies));
        assert!(seen.contains("python3: command not found"), "{harness}: {seen}");
        assert!(seen.contains("semver/version.py | 1 +"), "{harness}: {seen}");
    }
}

#[test]
fn harnesses_with_a_persistent_bash_need_no_process() {
    let call = |name: &str, arguments: serde_json::Value| {
        format!("I go on.\n\n```call\n{}\n```", serde_json::json!({"name": name, "arguments": arguments}))
    };
    let path = "semver/version.py";
    let edit = |root: &str| {
        let path = format!("{root}/{path}");
        call(
            "str_replace_editor",
            serde_json::json!({"command": "insert", "path": path, "insert_line": 0, "new_str": "# mended"}),
        )
    };
    let bash = |command: &str| call("bash", serde_json::json!({ "command": command }));
    let replies = [
        bash("cd semver; n=7; f() { echo \"f$n\"; }"),
        bash("f; basename $PWD; ls nosuch"),
        edit("/testbed"),
        call("submit", serde_json::json!({})),
        call("submit", serde_json::json!({})),
    ];
    let seen = assert_fixed("swe-agent", &rollout("swe-agent", &replies));
    assert!(seen.contains("f7\nsemver\n"), "{seen}");
    let run = |command: &str| call("execute_bash", serde_json::json!({ "command": command }));
    let replies = [
        call(
            "execute_bash",
            serde_json::json!({"command": "cd /tmp && read -r x && echo got $x", "timeout": 1}),
        ),
        call("execute_bash", serde_json::json!({"command": "word", "is_input": "true"})),
        run("sleep 100 & jobs | wc -l"),
        edit("/workspace/repo"),
        call("finish", serde_json::json!({"message": "done", "task_completed": "true"})),
    ];
    let seen = assert_fixed("openhands", &rollout("openhands", &replies));
    assert!(
        seen.contains(
            "got word\n[The command completed with exit code 0.]\n[Current working directory: /tmp]"
        ),
        "{seen}"
    );
}

#[test]
fn a_shell_stays_without_a_process() {
    let world = World::new();
    let mut child = world
        .sbx()
        .args(["shell", "--backend", "wasi"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = "n=5\ncd /tmp\necho $n $PWD\nfor i in 1 2\ndo\necho $i\ndone\n(exit 3)\n";
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "5 /tmp\n1\n2\n"));
}

/// Runs sbx where the kernel gives no namespace, no mount, no Landlock, no seccomp and no `openat2`.
fn restricted(world: &World, args: &[&str]) -> Option<std::process::Output> {
    /// `unshare`, `clone` of namespaces, `clone3`, `mount`, `open_tree`, `move_mount`, the three of Landlock, `seccomp`,
    /// `openat2`, `memfd_create`, `pidfd_open`, `chroot`, `pivot_root`, `setns`.
    const CALLS: &str = "272 56:1:0:0x7e020000 435:38 165 428:38 429:38 444:38 445:38 446:38 317:38 437:38 319:38 434:38 \
                         161 155 308";
    let mut python = Command::new("python3");
    if !python.arg("--version").output().is_ok_and(|o| o.status.success()) || !cfg!(target_arch = "x86_64") {
        assert!(std::env::var_os("SBX_MUST_WORK").is_none(), "no python3 to deny calls with");
        eprintln!("SKIPPED: no python3 to deny calls with");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/deny.py")).args(CALLS.split_whitespace());
    command.args(["--", env!("CARGO_BIN_EXE_sbx")]).args(args).env_remove("SBX_POLICY");
    Some(command.current_dir(world.workspace()).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn in_the_most_restricted_container_it_works_and_says_what_stands() {
    let world = World::new();
    let script = "cat file.txt | tr o O; echo two >> file.txt; ls / | head -n 1; cat /etc/shadow; exit 3";
    let patch = world.dir.path().join("changes.patch");
    let patch = patch.to_str().unwrap();
    let args = ["exec", "--json", "--backend", "wasi", "--changes", patch, "-c", script];
    let Some(output) = restricted(&world, &args) else { return };
    let object: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", text(&output.stdout), text(&output.stderr)));
    assert_eq!((&object["exit_code"], &object["stdout"]), (&3.into(), &"One\nbin\n".into()), "{object}");
    assert_eq!(object["enforced"], serde_json::json!(["wasm", "no-processes", "no-network", "limits"]));
    assert!(std::fs::read_to_string(patch).unwrap().contains("+two\n"));
    let doctor = restricted(&world, &["doctor", "--json"]).unwrap();
    let said = text(&doctor.stdout);
    assert!(said.contains("commands run; enforced: wasm no-processes no-network limits\""), "{said}");
}

#[test]
fn the_clock_is_the_one_that_the_policy_grants() {
    let world = World::new();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::open(world.workspace()).unwrap().set_modified(old).unwrap();
    let script = "date +%Y-%m-%d; touch new; stat -c %y new | cut -c 1-10; printf '%(%Y)T\\n'; echo $((EPOCHSECONDS / 1000000))";
    let seen =
        |args: &[&str]| text(&world.exec(&[args, &["--changes", "discard", "-c", script]].concat()).stdout);
    assert_eq!(seen(&["--policy", "paranoid"]), "2001-09-09\n2001-09-09\n2001\n1000\n");
    assert!(!seen(&["--backend", "wasi"]).contains("2001"));
    let file = world.dir.path().join("own.toml");
    std::fs::write(&file, "extends = \"whitelist\"\nclock = \"workspace\"\n").unwrap();
    let output = world.exec(&["--policy", file.to_str().unwrap(), "-c", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("own: clock: "), "{}", text(&output.stderr));
    std::fs::write(&file, "extends = \"paranoid\"\nclock = \"real\"\n").unwrap();
    let output = world.exec(&["--policy", file.to_str().unwrap(), "-c", "true"]);
    assert!(text(&output.stderr).contains("loosens = [\"clock\"]"), "{}", text(&output.stderr));
}
