//! `sbx policy`, and the options that tighten a policy: what they say is so, and names its line.

mod world;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use world::{World, text};

/// Stdout and stderr of `sbx ARGS`, and its exit status.
fn sbx(world: &World, args: &[&str]) -> (String, Option<i32>) {
    let output = world.sbx().args(args).output().unwrap();
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

/// What `sbx policy explain` says of a script under a policy with this text.
fn explained(world: &World, policy: &str, script: &str) -> String {
    fs::write(world.path("p.toml"), policy).unwrap();
    sbx(world, &["policy", "explain", "--policy", "p.toml", script]).0
}

fn program(world: &World, name: &str, script: &str) {
    fs::write(world.path(name), script).unwrap();
    fs::set_permissions(world.path(name), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn explain_names_the_line_that_denies_a_program() {
    let world = World::new();
    let said = explained(&world, "extends = \"whitelist\"\n\n[commands]\ndeny = [\"git\"]\n", "git log");
    assert_eq!(
        said,
        "git: not allowed by commands.deny\n  by p.toml:4\nto allow it: remove \"git\" from deny\n"
    );
}

#[test]
fn explain_reads_every_way_to_write_toml() {
    let world = World::new();
    let said = explained(&world, "extends = 'whitelist'\n\n[commands]\ndeny = [\n  'git',\n]\n", "git log");
    assert!(said.contains("  by p.toml:5\n"), "{said}");
    let rule = "extends = 'whitelist'\n[[refuse]]\nbecause = 'no'\nwhen = 'rm -rf'\n";
    let said = explained(&world, rule, "rm -rf x");
    assert_eq!(said, "rm -rf x: no\n  by p.toml:4\n");
    // The parent's own rule is the parent's line.
    let said = explained(&world, rule, "git push");
    let whitelist =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/whitelist.toml")).unwrap();
    let line = 1 + whitelist.lines().position(|l| l.contains("\"git push\"")).unwrap();
    assert!(said.ends_with(&format!("  by policies/whitelist.toml:{line}\n")), "{said}");
}

#[test]
fn what_explain_advises_is_a_policy_that_allows_it() {
    let world = World::new();
    program(&world, "run.sh", "#!/bin/sh\necho ran\n");
    let write = "[files]\nwrite = ['workspace']\n";
    for (head, tail, script, advice) in [
        ("extends = 'whitelist'\n", "", "./run.sh", "loosens = [\"exec\"] and exec = \"workspace\""),
        ("extends = 'base'\n", write, "./run.sh", "exec = \"workspace\""),
        // What is not writable is not executed either.
        ("about = 'x'\n", "", "./run.sh", "exec = \"workspace\" and [files] write = [\"workspace\"]"),
        ("exec = 'workspace'\n", "", "./run.sh", "[files] write = [\"workspace\"]"),
        (
            "extends = 'readonly'\n",
            "",
            "./run.sh",
            "loosens = [\"exec\", \"files.write\"], exec = \"workspace\" and [files] write = [\"workspace\", \"/tmp\"]",
        ),
        ("extends = 'base'\n", "", "seq 1", "[commands] allow = [\"seq\"]"),
        (
            "extends = 'swe-zero'\n",
            "",
            "seq 1",
            "loosens = [\"commands.allow\"] and [commands] allow = [\"seq\"]",
        ),
    ] {
        let said = explained(&world, &format!("{head}{tail}"), script);
        let found = said.lines().find_map(|l| l.strip_prefix("to allow it: ")).unwrap_or_default();
        assert_eq!(found, advice, "{head}{tail}{script}: {said}");
        let lines = found.replace(" and ", "\n").replace(", exec =", "\nexec =");
        let lines = lines.replace("[commands] ", "[commands]\n").replace("[files] ", "[files]\n");
        let policy = format!("{head}{lines}\n{tail}");
        assert_eq!(explained(&world, &policy, script), "allowed by p\n", "{policy}");
        let (said, code) = sbx(&world, &["exec", "--policy", "./p.toml", "-c", script]);
        assert_eq!(code, Some(0), "{policy}: {said}");
    }
    // A name that is allowed is not a file of that name.
    program(&world, "ls", "#!/bin/sh\n");
    let (said, code) = sbx(&world, &["policy", "explain", "ls; ./ls"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        "./ls: a file of the workspace is not executed: exec = \"none\"\n\
         to allow it: extends = \"whitelist\", loosens = [\"exec\"] and exec = \"workspace\"\n"
    );
}

#[test]
fn what_is_suggested_for_a_file_of_the_workspace_lets_it_run() {
    let world = World::new();
    program(&world, "run.sh", "#!/usr/bin/env bash\nls | sort\necho ran\n");
    for script in ["./run.sh", "x=./run.sh; $x"] {
        let output = world.sbx().args(["policy", "suggest", "-c", script]).output().unwrap();
        fs::write(world.path("p.toml"), &output.stdout).unwrap();
        let (said, code) = sbx(&world, &["exec", "--policy", "p.toml", "-c", script]);
        assert!(code == Some(0) && said.ends_with("ran\n"), "{said}{}", text(&output.stdout));
        assert!(!text(&output.stdout).contains("run.sh"), "{}", text(&output.stdout));
    }
}

#[test]
fn sbx_policy_names_the_policy_to_show_and_to_explain() {
    let world = World::new();
    fs::write(world.path("mine.toml"), "extends = \"base\"\n").unwrap();
    let with =
        |args: &[&str]| text(&world.sbx().args(args).env("SBX_POLICY", "mine.toml").output().unwrap().stdout);
    assert!(with(&["policy", "show"]).contains("\"name\": \"mine\""));
    assert!(with(&["policy", "explain", "ls"]).starts_with("ls: not allowed"));
    assert!(with(&["policy", "show", "readonly"]).contains("\"name\": \"readonly\""));
    assert_eq!(with(&["policy", "explain", "--policy", "readonly", "ls"]), "allowed by readonly\n");
}

#[test]
fn an_example_that_fails_is_named_by_file_and_line() {
    let world = World::new();
    let policy = "extends = 'base'\n[examples]\nallows = [\n  'true',\n  'ls',\n]\nrefuses = ['pwd']\n";
    fs::write(world.path("p.toml"), policy).unwrap();
    assert_eq!(
        sbx(&world, &["policy", "check", "p.toml"]),
        (
            "p.toml:5: examples.allows: \"ls\": ls: not allowed by commands.allow\n\
             p.toml:7: examples.refuses: \"pwd\": nothing is refused in it\n"
                .into(),
            Some(1)
        )
    );
}

#[test]
fn an_option_says_no_less_than_a_policy_can() {
    let world = World::new();
    for (option, value, least) in [
        ("--timeout", "0s", "1ms"),
        ("--processes", "0", "1"),
        ("--memory", "1 KiB", "4 MiB"),
        ("--output", "0 B", "1 B"),
    ] {
        let (said, code) = sbx(&world, &["exec", option, value, "-c", "true"]);
        let found = if value == "0s" { "0s" } else { value };
        assert_eq!(said, format!("sbx: {option}: expected at least {least}, found {found}\n"));
        assert_eq!(code, Some(125));
    }
}

#[test]
fn what_is_not_there_is_named_once() {
    let world = World::new();
    for (args, said) in [
        (
            &["plan", "--workspace", "nonex"][..],
            "sbx: workspace nonex: No such file or directory (os error 2)\n",
        ),
        (&["policy", "suggest", "/nonex"], "sbx: /nonex: No such file or directory (os error 2)\n"),
        (
            &["policy", "suggest", "-c", "ls", "--workspace", "nonex"],
            "sbx: workspace nonex: No such file or directory (os error 2)\n",
        ),
        (&["replay", "/nonex"], "sbx: /nonex: No such file or directory (os error 2)\n"),
    ] {
        assert_eq!(sbx(&world, args), (said.into(), Some(1)));
    }
}

#[test]
fn a_path_that_is_no_text_is_no_json() {
    let world = World::new();
    let dir = world.workspace().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&dir).unwrap();
    let mut plan = world.sbx();
    plan.arg("plan").arg("--workspace").arg(&dir);
    assert!(plan.output().unwrap().status.success());
    let output = plan.arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("sbx: the plan as JSON; without --json it is shown: path contains")
    );
}

#[test]
fn completions_are_written_to_whoever_reads_them() {
    let world = World::new();
    let (script, code) = sbx(&world, &["completions", "bash"]);
    assert!(code == Some(0) && script.contains("complete -F _sbx"), "{script}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gone = world.sbx().args(["completions", "bash"]).stdout(writer).output().unwrap();
    assert_eq!((gone.status.code(), text(&gone.stderr)), (Some(0), String::new()));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = world.sbx().args(["completions", "bash"]).stdout(full).output().unwrap();
    assert!(full.status.code() == Some(125) && text(&full.stderr).starts_with("sbx: stdout: No space"));
}
