//! The contract of `sbx exec` without native processes: the same statuses, object, changes and refusals.

mod world;

use std::io::Write;
use std::process::Stdio;
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
