//! Whole actions: what the agent sees, what it changes, and how it is stopped.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use sbx_runtime::{Action, ByteSize, Observation, Outcome, Policy};
use sbx_wasi::Sandbox;
use std::time::Duration;

struct World {
    dir: tempfile::TempDir,
    sandbox: Sandbox,
}

fn policy() -> Policy {
    let mut policy = Policy::preset("paranoid").unwrap();
    policy.limits.time = Duration::from_secs(120);
    policy
}

impl World {
    fn new() -> World {
        World::with(&policy())
    }

    fn with(policy: &Policy) -> World {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("a.txt", "one\ntwo\nthree\n"), ("src/b.txt", "foo\nbar\n")] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let workspace = sbx_runtime::Workspace::new(dir.path()).at("/workspace");
        let sandbox = Sandbox::open(policy, workspace).unwrap();
        World { dir, sandbox }
    }

    fn see(&mut self, script: &str) -> Observation {
        self.sandbox.run(&Action::bash(script)).unwrap()
    }

    /// Status and stdout; stderr must be empty.
    fn run(&mut self, script: &str) -> (i32, String) {
        let seen = self.see(script);
        assert_eq!(seen.stderr.text(), "", "{script}");
        (seen.exit_code, seen.stdout.text())
    }
}

fn ok(text: &str) -> (i32, String) {
    (0, text.into())
}

#[test]
fn files_stay_between_actions_and_variables_do_not() {
    let mut world = World::new();
    assert_eq!(world.run("x=1; cd src; echo $PWD > /tmp/p; cat /tmp/p"), ok("/workspace/src\n"));
    assert_eq!(world.run("echo \"[$x]\" $PWD; cat /tmp/p"), ok("[] /workspace\n/workspace/src\n"));
}

#[test]
fn the_patch_is_that_of_a_native_sandbox_and_the_workspace_is_untouched() {
    let mut world = World::new();
    assert_eq!(world.run("sed -i s/two/TWO/ a.txt && rm src/b.txt && mkdir n && echo new > n/c"), ok(""));
    let patch = world.sandbox.changes().unwrap().diff_text();
    for part in ["-two\n+TWO\n", "deleted file mode 100644\n", "new file mode 100644\n", "+new\n"] {
        assert!(patch.contains(part), "{patch}");
    }
    assert_eq!(std::fs::read_to_string(world.dir.path().join("a.txt")).unwrap(), "one\ntwo\nthree\n");
    assert!(world.dir.path().join("src/b.txt").exists());
}

#[test]
fn an_action_has_its_input_environment_directory_and_streams() {
    let mut world = World::new();
    let action = Action::bash("cat; echo \"$V $PWD\"; echo err >&2").stdin("in\n").env("V", "v").cwd("src");
    let seen = world.sandbox.run(&action).unwrap();
    assert_eq!(
        (seen.stdout.text().as_str(), seen.stderr.text().as_str()),
        ("in\nv /workspace/src\n", "err\n")
    );
    let seen = world.sandbox.run(&Action::bash("echo a; echo b >&2; echo c").merged()).unwrap();
    assert_eq!(seen.stdout.text(), "a\nb\nc\n");
    let seen = world.sandbox.run(&Action::program(["wc", "-l", "a.txt"])).unwrap();
    assert_eq!(seen.stdout.text(), "3 a.txt\n");
    let seen = world.sandbox.run(&Action::program(["nothing"])).unwrap();
    assert_eq!((seen.exit_code, seen.stderr.text().as_str()), (127, "sbx: nothing: command not found\n"));
    let seen = world.sandbox.run(&Action::bash("true").cwd("nowhere")).unwrap();
    assert_eq!(seen.exit_code, 126);
}

#[test]
fn what_the_policy_does_not_allow_is_not_found() {
    let mut world = World::new();
    let seen = world.see("python3 -c 1");
    assert_eq!(
        (seen.exit_code, seen.stderr.text().as_str()),
        (127, "bash: line 1: python3: command not found\n")
    );
    let mut policy = policy();
    policy.commands.retain(|name| name != "grep");
    assert_eq!(World::with(&policy).see("grep one a.txt").exit_code, 127);
}

#[test]
fn a_policy_that_closes_the_workspace_keeps_it_closed() {
    let mut policy = policy();
    (policy.write_workspace, policy.write_tmp) = (false, true);
    let mut world = World::with(&policy);
    let seen = world.see("echo x > new; echo x >> a.txt; rm a.txt; mkdir d; touch /tmp/t && ls /tmp");
    assert_eq!(seen.stdout.text(), "t\n");
    assert_eq!(seen.stderr.text().matches("Read-only file system").count(), 4, "{}", seen.stderr.text());
    assert!(world.sandbox.changes().unwrap().diff().is_empty());
}

/// What an agent might try to use up. Each ends by a limit, and the sandbox goes on.
#[test]
fn whatever_is_without_end_is_ended() {
    let loads = [
        "while :; do :; done",
        "until false; do true; done",
        ":(){ :|:& };:; wait",
        "yes | sort",
        "f() { f; }; f",
        "x=x; while :; do x=$x$x; done",
        "printf '%10000000000d' 1",
        "for ((;;)); do echo x; done > /dev/null",
        "awk 'BEGIN{while(1);}'",
        "awk 'BEGIN{x=\"x\"; while(1) x=x x}'",
        "sleep 1000000",
        "cat /dev/zero | tail -c 1",
        "while :; do sleep 0.01 & done",
        "yes > /dev/null & yes > /dev/null & sleep 100000",
        "read x < <(sleep 100000)",
        "echo {1..1000000000}",
        "echo 100000 | xargs sleep",
        "trap '' TERM INT; while :; do :; done",
        "seq 1000000000000 | wc -l",
        "[[ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa =~ (a*)*b ]]; sleep 100000",
    ];
    let mut policy = policy();
    policy.limits.time = Duration::from_secs(1);
    policy.limits.memory = ByteSize(256 << 20);
    policy.limits.processes = 32;
    let mut world = World::with(&policy);
    for load in loads {
        let seen = world.see(load);
        let ended = seen.outcome != Outcome::Exited
            || seen.exit_code != 0
            || !seen.limits_hit.is_empty()
            || seen.killed > 0;
        assert!(ended, "{load}: {seen:?}");
        assert_eq!(world.run("echo on"), ok("on\n"), "after {load}");
    }
}

/// What a substitution prints is kept in the memory of the action, before anybody has all of it.
#[test]
fn the_output_of_substitutions_counts_as_memory() {
    let mut policy = policy();
    policy.limits.memory = ByteSize(64 << 20);
    let mut world = World::with(&policy);
    for script in ["x=$(yes)", "echo $(cat /dev/zero)", "x=`yes`", "for i in 1 2 3; do x=$(yes) & done; wait"]
    {
        let seen = world.see(script);
        assert_eq!(seen.outcome, Outcome::OutOfMemory, "{script}: {seen:?}");
        assert_eq!(seen.limits_hit, ["memory"], "{script}: {seen:?}");
    }
    assert_eq!(world.run("x=$(head -c 30M /dev/zero | tr '\\0' a); echo ${#x}"), ok("31457280\n"));
}

/// As natively: `/etc/gitconfig` has an identity, and no advice about a detached HEAD.
#[test]
fn git_reads_the_configuration_of_the_system() {
    let script = "git init -q; git config user.name; git commit -q --allow-empty -m x; git log --format='%an <%ae>'; \
                  git checkout HEAD~0 2>&1 | grep -c switching";
    assert_eq!(World::new().run(script), (1, "agent\nagent <agent@sbx.invalid>\n0\n".into()));
}

#[test]
fn jq_keeps_the_order_of_what_is_left() {
    let script = r#"echo '{"z":1,"a":2,"m":{"q":1,"b":2,"c":3}}' | jq -c 'del(.z), del(.m.q).m'"#;
    let left = "{\"a\":2,\"m\":{\"q\":1,\"b\":2,\"c\":3}}\n{\"b\":2,\"c\":3}\n";
    assert_eq!(World::new().run(script), ok(left));
}

#[test]
fn nesting_ends_without_harm() {
    let mut policy = policy();
    // A slow machine may take long to refuse; what it must not do is to go on for ever.
    policy.limits.time = Duration::from_secs(10);
    let mut world = World::with(&policy);
    let substitutions = format!("{}true{}", "$(".repeat(10_000), ")".repeat(10_000));
    let parentheses = format!("{}true{}", "(".repeat(30_000), ")".repeat(30_000));
    let braces = format!("{}a{}", "{".repeat(30_000), "}".repeat(30_000));
    let arithmetic = format!("echo $(({}1{}))", "(".repeat(50_000), ")".repeat(50_000));
    let quotes = "\"$(echo ".repeat(10_000);
    let evals = "eval ".repeat(20_000) + "true";
    let ifs = "if true; then ".repeat(20_000);
    let groups = format!("echo {}", "{a,b}".repeat(100_000));
    let tests = format!("[[ {}a{} ]]", "( ".repeat(30_000), " )".repeat(30_000));
    let defaults = format!("echo {}x{}", "${a:-".repeat(10_000), "}".repeat(10_000));
    let indexes = format!("echo ${{{}1{}}}", "a[".repeat(10_000), "]".repeat(10_000));
    let patterns = format!("shopt -s extglob; [[ aaa == {}a{} ]]", "@(".repeat(10_000), ")".repeat(10_000));
    let stars = format!("[[ {} == {}b ]]", "a".repeat(3000), "*a".repeat(1000));
    let functions = format!("{}:{}", "f() { ".repeat(10_000), "; }".repeat(10_000));
    let backticks = "`echo ".repeat(10_000);
    let pipes = "true | ".repeat(10_000) + "true";
    let negations = "! ".repeat(50_000) + "true";
    let more = [groups, tests, defaults, indexes, patterns, stars, functions, backticks, pipes, negations];
    for script in [substitutions, parentheses, braces, arithmetic, quotes, evals, ifs].into_iter().chain(more)
    {
        let action = Action::bash(format!("{script}\n"));
        world.sandbox.run(&action).unwrap_or_else(|e| panic!("{e}: {}…", &script[..12]));
        assert_eq!(world.run("echo on"), ok("on\n"), "after {}…", &script[..12]);
    }
}

#[test]
fn full_areas_are_told() {
    let mut policy = policy();
    policy.limits.workspace = ByteSize(1 << 20);
    let mut world = World::with(&policy);
    let seen = world.see("head -c 2M /dev/zero > big; echo $?; rm big; echo x > small && cat small");
    assert!(seen.stdout.text().ends_with("x\n") && !seen.stdout.text().starts_with("0\n"), "{seen:?}");
    assert_eq!(seen.limits_hit, ["workspace"]);
}

#[test]
fn a_flood_of_output_is_kept_in_part_and_then_ended() {
    let mut policy = policy();
    policy.limits.output = ByteSize(1000);
    let mut world = World::with(&policy);
    let seen = world.see("yes");
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::OutputLimit, 137));
    assert_eq!(seen.stdout.bytes().len(), 1000);
    let seen = world.see("seq 1000");
    assert_eq!(
        (seen.outcome, seen.exit_code, seen.limits_hit),
        (Outcome::Exited, 0, vec!["output".to_string()])
    );
}

#[test]
fn pipelines_under_load_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    for n in 0..12 {
        std::fs::write(dir.path().join(format!("a/b/{n}")), "x").unwrap();
    }
    let runs = if std::env::var_os("SBX_STRESS").is_some() { 1250 } else { 25 };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let workspace = sbx_runtime::Workspace::new(dir.path()).at("/workspace");
                let mut sandbox = Sandbox::open(&policy(), workspace).unwrap();
                for run in 0..runs {
                    let script = "cp -r a c && find c | sort | wc -l; rm -r c; ls a/b | sort -n | tail -n 1";
                    let seen = sandbox.run(&Action::bash(script)).unwrap();
                    assert_eq!(seen.stdout.text(), "14\n11\n", "run {run}: {seen:?}");
                }
            });
        }
    });
}

#[test]
fn two_hundred_sandboxes_work_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "b\na\n").unwrap();
    std::thread::scope(|scope| {
        for n in 0..200 {
            let path = dir.path();
            scope.spawn(move || {
                let workspace = sbx_runtime::Workspace::new(path).at("/workspace");
                let mut sandbox = Sandbox::open(&policy(), workspace).unwrap();
                let seen = sandbox
                    .run(&Action::bash(format!("echo {n} >> f; sort f | tail -n 1; wc -l < f")))
                    .unwrap();
                assert_eq!(seen.stdout.text(), "b\n3\n", "{seen:?}");
            });
        }
    });
    assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "b\na\n");
}
