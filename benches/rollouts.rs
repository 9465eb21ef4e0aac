//! A whole rollout (workspace, 26 actions, patch, teardown) against a clone and bare bash without any sandbox, and its
//! parts: the workspace against `git clone --shared`, the patch against `git diff`.
//!
//! `cargo bench --bench rollouts -- REPOSITORY 20`   (a git repository, and rounds; without one, 400 files are made up)

mod paired;

use paired::{Peer, argument, compare};
use sbx::{Action, Policy, Sandbox, Workspace};
use sbx_agent::Checkouts;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What agents usually do.
const ACTIONS: [&str; 26] = [
    "ls -la",
    "cat README.md | head -50",
    "grep -rn 'def ' --include=*.py . | head -20",
    "find . -name '*.py' | wc -l",
    "sed -n 1,80p README.md",
    "wc -l README.md",
    "grep -c import $(find . -name '*.py' | head -5) || true",
    "pwd",
    "echo 'x = 1' > scratch_a.py",
    "cat scratch_a.py",
    "sed -i 's/x = 1/x = 2/' scratch_a.py",
    "cat scratch_a.py | tr a-z A-Z",
    "echo more >> README.md",
    "head -3 README.md; tail -3 README.md",
    "for i in 1 2 3; do echo $i; done",
    "ls | sort | uniq -c | sort -rn | head",
    "mkdir -p sub/dir && touch sub/dir/f",
    "rm -r sub",
    "grep -n more README.md",
    "awk 'NR<5' README.md",
    "diff scratch_a.py README.md | head -3",
    "test -f scratch_a.py && echo yes",
    "cp scratch_a.py scratch_b.py",
    "rm scratch_b.py",
    "true",
    "cat README.md | wc -c",
];

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let given = argument(0).map(PathBuf::from).filter(|p| p.is_dir());
    let rounds = argument(usize::from(given.is_some())).and_then(|n| n.parse().ok()).unwrap_or(10);
    let repository = given.unwrap_or_else(|| made_up(dir.path()));
    let repository = std::fs::canonicalize(repository).expect("a repository");
    let task = serde_json::json!({"instance_id": "i", "repo": repository, "base_commit": "HEAD", "problem_statement": "p"});
    let instances = sbx_records::read_instances(task.to_string().as_bytes(), "t").expect("an instance");
    let checkouts = Checkouts::new(dir.path().join("cache"), None).make_all(&instances, |_| true);
    let workspace = checkouts.expect("a checkout")["i"].workspace("/workspace");
    let clone = dir.path().join("clone");
    println!("{}", repository.display());
    compare("a whole rollout", rounds, &mut whole(&repository, &workspace, &clone));
    compare("a workspace, with its sandbox", rounds, &mut workspaces(&repository, &workspace, &clone));
    compare("the patch", rounds, &mut patches(&repository, &workspace, &clone));
}

fn whole(repository: &Path, workspace: &Workspace, clone: &Path) -> Vec<Peer> {
    let (repository, workspace, clone) = (repository.to_path_buf(), workspace.clone(), clone.to_path_buf());
    vec![
        Peer::new("bare: git clone --shared, bash -c × 26, git diff, rm", move || {
            git_clone(&repository, &clone);
            ACTIONS.iter().for_each(|script| bare(&clone, script));
            assert!(git_diff(&clone).contains("+more"));
            std::fs::remove_dir_all(&clone).expect("the clone");
        }),
        Peer::new("sbx: sandbox, 26 actions, patch, teardown", move || {
            let mut sandbox = open(&workspace);
            act_all(&mut sandbox);
            assert!(sandbox.changes().expect("changes").diff_text().contains("+more"));
        }),
    ]
}

fn workspaces(repository: &Path, workspace: &Workspace, clone: &Path) -> Vec<Peer> {
    let (repository, workspace, clone) = (repository.to_path_buf(), workspace.clone(), clone.to_path_buf());
    vec![
        Peer::new("git clone --shared", move || git_clone(&repository, &clone)),
        Peer::new("sbx: overlay, namespaces and all walls", move || open(&workspace)),
    ]
}

fn patches(repository: &Path, workspace: &Workspace, clone: &Path) -> Vec<Peer> {
    git_clone(repository, clone);
    let (clone, edit) = (clone.to_path_buf(), "echo more >> README.md; echo 'x = 1' > scratch_a.py");
    bare(&clone, edit);
    let mut sandbox = open(workspace);
    assert!(sandbox.run(&Action::bash(edit)).is_ok_and(|o| o.success()));
    vec![
        Peer::new("git add -A -N; git diff HEAD", move || assert!(git_diff(&clone).contains("+more"))),
        Peer::new("sbx: in process", move || {
            assert!(sandbox.changes().expect("changes").diff_text().contains("+more"));
        }),
    ]
}

fn open(workspace: &Workspace) -> Sandbox {
    let policy = Policy::preset("whitelist").expect("a preset");
    Sandbox::open(&policy, workspace.clone()).expect("a sandbox; see `sbx doctor`")
}

fn act_all(sandbox: &mut Sandbox) {
    for script in ACTIONS {
        let seen = sandbox.run(&Action::bash(script)).expect("an action");
        assert!(seen.success(), "{script}: {}", seen.stderr.text());
    }
}

fn bare(dir: &Path, script: &str) {
    let mut bash = paired::program("bash");
    bash.args(["-c", script]).current_dir(dir).stdin(Stdio::null());
    let output = bash.output().expect("bash");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = paired::program("git");
    git.args(["-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C"])
        .arg(dir)
        .args(args);
    let output = git.stdin(Stdio::null()).output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn git_clone(repository: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let (from, to) = (repository.to_string_lossy(), to.to_string_lossy());
    git(Path::new("/"), &["clone", "-q", "--shared", &from, &to]);
}

fn git_diff(dir: &Path) -> String {
    git(dir, &["add", "-A", "-N"]);
    git(dir, &["diff", "HEAD"])
}

/// A repository of 400 files of Python.
fn made_up(dir: &Path) -> PathBuf {
    let repository = dir.join("repository");
    for n in 0..400 {
        let folder = repository.join(format!("package{}", n % 20));
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!("import os\n\n\ndef function_{n}(x):\n    return x + {n}\n\n\n").repeat(40);
        std::fs::write(folder.join(format!("module{n}.py")), text).expect("a file");
    }
    std::fs::write(repository.join("README.md"), "# A package\n\nText.\n".repeat(40)).expect("a file");
    git(&repository, &["init", "-q"]);
    git(&repository, &["add", "-A"]);
    git(&repository, &["commit", "-q", "-m", "all"]);
    repository
}
