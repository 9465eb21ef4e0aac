//! A shell on a live sandbox: verdicts, what is denied, and the patch of a real overlay held against git's own.

use sbx_bash::Shell;
use sbx_runtime::{Action, Outcome, Policy};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A shell, or a loud skip where this host cannot raise the walls. With SBX_MUST_WORK=1 that is a failure.
fn shell(policy: &str, workspace: &Path) -> Option<Shell> {
    match Shell::open(&Policy::preset(policy).unwrap(), workspace) {
        Ok(shell) => Some(shell),
        Err(e) if std::env::var_os("SBX_MUST_WORK").is_none() => {
            eprintln!("SKIPPED: no sandbox on this host: {e}");
            None
        }
        Err(e) => panic!("no sandbox on this host: {e}"),
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A repository with a little of everything.
fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("src/main.py", &(0..40).map(|i| format!("def f{i}():\n    return {i}\n\n")).collect::<String>());
    write("old/a", "a\n");
    write("old/deep/b", "b\n");
    write("renamed", "r\n");
    write("becomes_dir", "x\n");
    write("touched", "t\n");
    write(".gitignore", "*.log\n");
    git(dir.path(), &["init", "-q"]);
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "base"]);
    dir
}

#[test]
fn a_refused_command_is_answered_with_its_reason_and_nothing_runs() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let seen = shell.run("touch ran; git push origin main").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Refused, 126));
    assert!(seen.stderr.text().contains("git diff"), "{}", seen.stderr.text());
    assert_eq!(seen.denied.len(), 1);
    assert_eq!(seen.denied[0].rule, "refuse: git push");
    assert_eq!(shell.changes().unwrap().entries().unwrap(), []);
    let seen = shell.act(&Action::program(["git", "push"])).unwrap();
    assert_eq!(seen.outcome, Outcome::Refused);
}

#[test]
fn text_that_mentions_a_refused_command_runs() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let seen = shell.run("cat > n <<'E'\ngit push\nit's $(curl x)\nE\ngrep -c 'git push' n").unwrap();
    assert_eq!((seen.stdout.text().as_str(), seen.exit_code), ("1\n", 0), "{}", seen.stderr.text());
}

#[test]
fn a_program_outside_the_policy_is_not_found_and_the_hint_says_what_is() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let seen = shell.run("python3 -c 'print(1)'").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Exited, 127));
    assert!(seen.stderr.text().contains("python3: command not found"), "{}", seen.stderr.text());
    assert_eq!(seen.denied.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["python3"]);
    assert!(seen.denied[0].hint.contains("grep") && seen.denied[0].hint.lines().count() <= 3);
    // In the middle of a script the status is another's, but stderr tells.
    let seen = shell.run("curl example.org; echo done").unwrap();
    assert_eq!((seen.exit_code, seen.denied.len()), (0, 1));
    assert_eq!(shell.run("ls no-such-file").unwrap().denied, []);
}

#[test]
fn a_script_that_cannot_be_read_is_left_to_bash() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let seen = shell.run("if git push").unwrap();
    assert_eq!((seen.outcome, seen.exit_code), (Outcome::Exited, 2));
    assert!(seen.stderr.text().contains("syntax error"), "{}", seen.stderr.text());
}

#[test]
fn the_patch_of_a_real_overlay_is_gits_own_and_the_checkout_stays_untouched() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let seen = shell
        .run(
            "set -e; sed -i 's/return 7$/return 8/' src/main.py; chmod +x src/main.py; touch touched
             rm -rf old; mkdir old; echo n > old/new; mv renamed renamed2; rm becomes_dir; mkdir becomes_dir
             echo y > becomes_dir/y; ln -s touched link; echo i > x.log; printf 'no end' > 'a name'; mkfifo pipe
             printf 'a\\0b' > bin; mkdir -p deep/er; touch deep/er/empty; chmod 000 'a name'; chmod 644 'a name'",
        )
        .unwrap();
    assert!(seen.success(), "{}", seen.stderr.text());
    let ours = shell.changes().unwrap().diff_text();
    // In the sandbox as outside, git adds what we list; only its index is of its own.
    let seen = shell.run("git add -A -N && git diff --binary --no-renames HEAD").unwrap();
    assert!(seen.success(), "{}", seen.stderr.text());
    let without_binary = |patch: &str| {
        let kept = patch.split("diff --git ").filter(|part| !part.contains("GIT binary patch"));
        kept.map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(without_binary(&ours), without_binary(&seen.stdout.text()));
    assert!(ours.contains("b/bin"));
    assert_eq!(git(dir.path(), &["status", "--porcelain"]), "");
    let patch = dir.path().join(".git/p.diff");
    fs::write(&patch, &ours).unwrap();
    git(dir.path(), &["apply", "--check", ".git/p.diff"]);
}

#[test]
fn a_commit_brings_the_real_directory_to_what_the_agent_saw() {
    let dir = checkout();
    let Some(mut shell) = shell("whitelist", dir.path()) else { return };
    let script = "set -e; rm -rf old; mkdir old; echo n > old/new; rm becomes_dir; mkdir becomes_dir
                  echo y > becomes_dir/y; ln -s touched link; ln -s /etc/passwd out; chmod 4755 touched
                  git config core.fsmonitor evil; git add -A; git -c user.name=a -c user.email=a@b commit -qm done
                  mkdir -p sub && cd sub && git init -q";
    let seen = shell.run(script).unwrap();
    assert!(seen.success(), "{}", seen.stderr.text());
    let commit = shell.changes().unwrap().commit(dir.path()).unwrap();
    let withheld: Vec<_> = commit.withheld.iter().map(|w| w.path.to_str().unwrap()).collect();
    assert_eq!(withheld, [".git/config", "out", "sub/.git", "touched"], "{:?}", commit.withheld);
    // The agent's commit is there; only what was withheld differs from it.
    assert_eq!(git(dir.path(), &["log", "-1", "--format=%s"]), "done\n");
    assert_eq!(git(dir.path(), &["status", "--porcelain"]), " D out\n");
    assert!(!fs::read_to_string(dir.path().join(".git/config")).unwrap().contains("evil"));
}
