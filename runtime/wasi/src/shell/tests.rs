//! The shell against the bash of the host: the same scripts in directories that are alike.

use super::stack::STACK;
use super::{Program, Programs, Setup, World, run_script, start};
use crate::engine::Machine;
use crate::engine::budget::Budget;
use crate::engine::crew::Crew;
use crate::engine::job::Job;
use crate::fs::{Capture, Handle, Kind, Open, Tree};
use sbx_runtime::{Policy, Workspace};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where the workspace appears.
const AT: &str = "/repo/workspace";
/// Files that every script finds.
const FILES: [(&str, &str); 5] = [
    ("a.txt", "one\ntwo\nthree\n"),
    ("b.py", "import os\nprint(1)\n"),
    ("src/app.py", "x = 1\n"),
    ("src/lib/deep.py", "y = 2\n"),
    (".hidden", "h\n"),
];

struct Applets(&'static Machine);

impl Programs for Applets {
    fn has(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name)
            .is_ok_and(|name| self.0.has(name) || crate::builtin::programs().any(|known| known == name))
    }

    fn names(&self) -> Vec<Vec<u8>> {
        self.0.applets().iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    fn run(&self, program: Program<'_>) -> i32 {
        let job = Job {
            argv: program.argv.to_vec(),
            env: program.environment,
            cwd: program.cwd.to_vec(),
            fds: program.descriptors,
            tree: &program.shell.world.tree,
            budget: program.budget,
            umask: program.umask,
            spawn: Some(crate::sandbox::programs::within(program.shell)),
        };
        self.0.run(job).code()
    }
}

/// What a script left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub stdout: String,
    pub stderr: String,
    pub status: i32,
    pub files: BTreeMap<String, String>,
}

/// The environment of both.
const ENVIRONMENT: [(&str, &str); 14] = [
    ("PATH", "/usr/bin:/bin"),
    ("HOME", "/home/agent"),
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("TERM", "dumb"),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@b"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_COMMITTER_EMAIL", "a@b"),
    ("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z"),
    ("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z"),
    ("GIT_EDITOR", "true"),
];

fn fill(dir: &Path) {
    for (name, text) in FILES {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Runs a script in the interpreter.
pub(super) fn interpreted(script: &str, limits: Budget) -> Seen {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    own(dir.path(), script, limits)
}

/// Runs a script in the interpreter, over this directory.
pub(super) fn own(dir: &Path, script: &str, limits: Budget) -> Seen {
    let policy = Policy::preset("whitelist").unwrap();
    let workspace = Workspace::new(dir).at(AT).resolved().unwrap();
    let machine = Machine::load().unwrap();
    let mut names: Vec<&str> = machine.applets().iter().map(String::as_str).collect();
    names.extend(crate::builtin::programs());
    let tree = Tree::over(&workspace, &policy, &names).unwrap();
    let (out, err) = (Capture::new(8 << 20), Capture::new(8 << 20));
    let world = World {
        tree: tree.clone(),
        programs: Arc::new(Applets(machine)),
        crew: Crew::new(|| {}),
        runs_files: true,
    };
    let setup = Setup {
        world,
        budget: limits,
        stdio: [Handle::null(), out.handle(), err.handle()],
        environment: ENVIRONMENT
            .iter()
            .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect(),
        cwd: AT.into(),
        umask: 0o22,
    };
    let text = script.as_bytes().to_vec();
    let thread = std::thread::Builder::new().stack_size(STACK);
    let status = thread.spawn(move || run_script(&mut start(setup), &text).status).unwrap().join().unwrap();
    let mut files = BTreeMap::new();
    kept(&tree, AT, "", &mut files);
    let text = |capture: &Capture| String::from_utf8_lossy(&capture.take()).into_owned();
    Seen { stdout: text(&out), stderr: text(&err), status, files }
}

/// Archives hold times.
fn is_archive(name: &str) -> bool {
    [".tgz", ".tar", ".gz", ".xz", ".bz2", ".bundle"].iter().any(|end| name.ends_with(end))
}

fn kept(tree: &Tree, dir: &str, at: &str, files: &mut BTreeMap<String, String>) {
    for (name, kind) in tree.list(b"/", dir.as_bytes()).unwrap() {
        let name = String::from_utf8_lossy(&name).into_owned();
        let path = format!("{dir}/{name}");
        let shown = format!("{at}{name}");
        if shown == ".git" {
            continue;
        }
        match kind {
            Kind::Dir => {
                files.insert(shown.clone(), "directory".into());
                kept(tree, &path, &format!("{shown}/"), files);
            }
            Kind::File if !is_archive(&shown) => {
                let handle = tree.open(b"/", path.as_bytes(), Open::read()).unwrap();
                let mut bytes = vec![0; 1 << 20];
                let budget = Budget::new(Duration::from_secs(60), 0, 1);
                let length = handle.read(&mut bytes, &budget).unwrap();
                files.insert(shown, String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            _ => {}
        }
    }
}

/// Runs a script in the host's bash.
fn native(script: &str) -> Seen {
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("repo/workspace");
    fill(&workspace);
    bash(&workspace, script)
}

/// Runs a script in the host's bash, in this directory.
pub(super) fn bash(workspace: &Path, script: &str) -> Seen {
    use std::os::unix::process::ExitStatusExt;
    let run = std::process::Command::new("timeout")
        .args(["--foreground", "20", "bash", "-c", script])
        .current_dir(workspace)
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let place = workspace.display().to_string();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&place, AT);
    let mut files = BTreeMap::new();
    left(workspace, "", &mut files);
    let status = run.status.code().unwrap_or_else(|| 128 + run.status.signal().unwrap_or(0));
    Seen { stdout: text(&run.stdout), stderr: text(&run.stderr), status, files }
}

fn left(dir: &Path, at: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let shown = format!("{at}{}", entry.file_name().to_string_lossy());
        // What git keeps for itself has times in it.
        if shown == ".git" {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.insert(shown.clone(), "directory".into());
            left(&entry.path(), &format!("{shown}/"), files);
        } else if kind.is_file() && !is_archive(&shown) {
            files.insert(shown, String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned());
        }
    }
}

fn generous() -> Budget {
    Budget::new(Duration::from_secs(60), 1 << 30, 256)
}

/// The scripts of a table: `#` lines are titles, a line `---` ends each script.
fn scripts(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.split("\n---\n").map(|s| s.trim_matches('\n')).filter(|s| !s.is_empty())
}

#[test]
fn every_construct_does_what_the_bash_of_the_host_does() {
    let mut differences = Vec::new();
    let only = std::env::var("SBX_SCRIPT").unwrap_or_default();
    let mut count = 0;
    for script in scripts(include_str!("constructs.txt")) {
        if !script.contains(&only) {
            continue;
        }
        count += 1;
        let (own, bash) = (interpreted(script, generous()), native(script));
        if own != bash {
            differences.push(format!("=== {script}\n--- bash\n{bash:?}\n--- own\n{own:?}"));
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ\n{}", differences.len(), differences.join("\n"));
}

/// Scripts that would never end, or take all there is; what their status may be.
const HOSTILE: [(&str, &[i32]); 30] = [
    ("while :; do :; done", &[137]),
    ("until false; do :; done", &[137]),
    ("for ((;;)); do :; done", &[137]),
    (":(){ :|:& };:", &[0, 137, 254]),
    ("f() { f; }; f", &[1]),
    ("f() { f & f; }; f", &[0, 1, 137, 254]),
    ("f() { echo $(f); }; f > /dev/null", &[0, 1, 254, 137]),
    ("f() { (f); }; f", &[0, 1, 254, 137]),
    ("f() { f | f; }; f", &[0, 1, 254, 137]),
    ("f() { eval f; }; f", &[1, 2]),
    ("echo '. ./s' > s; . ./s", &[0, 1, 2]),
    ("echo './s' > s; bash s", &[0, 1, 126, 127, 254, 137]),
    ("echo 'bash s' > s; bash s", &[0, 1, 254, 137]),
    ("x=x; while :; do x=$x$x; done", &[2]),
    ("x=x; while :; do x+=$x; done", &[2]),
    ("a=(x); while :; do a+=(\"${a[@]}\"); done", &[2, 137]),
    ("declare -A m; while :; do m[$((i++))]=$i; done", &[2, 137]),
    ("echo {1..1000000000}", &[2]),
    ("echo {1..3000}{1..3000}{1..3000}", &[2]),
    ("printf '%1000000000d' 1", &[2]),
    ("printf '%s' {1..9}{1..9}{1..9}{1..9}{1..9}{1..9}{1..9} > /dev/null", &[0, 2, 137]),
    ("x=$(yes)", &[2, 137]),
    ("x=$(cat /dev/zero)", &[1, 2, 137]),
    ("read x < /dev/zero", &[1, 2, 137]),
    ("mapfile x < <(yes)", &[2, 137]),
    ("yes | sort > /dev/null", &[2, 137]),
    ("sleep 1000", &[137]),
    ("while :; do sleep 0; done", &[137]),
    ("trap 'while :; do :; done' EXIT; exit 3", &[137]),
    (
        "x='+(+(+(a)))b'; shopt -s extglob; y=$(printf 'a%.0s' {1..3000}); while :; do [[ $y == $x ]]; done",
        &[137],
    ),
];

#[test]
fn hostile_scripts_end_within_their_limits() {
    for (script, allowed) in HOSTILE {
        let start = std::time::Instant::now();
        let seen = interpreted(script, Budget::new(Duration::from_secs(3), 64 << 20, 32));
        assert!(allowed.contains(&seen.status), "{script}: {} {:.300}", seen.status, seen.stderr);
        // Generous, since it is no benchmark: what this guards against never ends.
        assert!(start.elapsed() < Duration::from_secs(120), "{script}");
    }
}

#[test]
fn scripts_of_any_depth_are_read_or_refused() {
    let nested = |open: &str, inner: &str, close: &str, n: usize| {
        format!("{}{inner}{}", open.repeat(n), close.repeat(n))
    };
    for (open, inner, close) in [
        ("$(", "a", ")"),
        ("\"$(", "a", ")\""),
        ("( ", "a", " )"),
        ("(", "a", ")"),
        ("{ ", "a; ", "}; "),
        ("if a; then ", "a; ", "fi; "),
        ("if ", "a", ""),
        ("! ", "a", ""),
        ("case a in a) ", "a", ";; esac "),
        ("f() { ", "a; ", "}; "),
        ("coproc ", "a", ""),
        ("[[ ! ", "a", " ]]"),
        ("[[ ( ", "a", " ) ]]"),
        ("${a[", "1", "]}"),
        ("x=${a[", "1", "]}"),
        ("x[", "1", "]=2"),
        ("x[$(x[", "1", "]=1)]=1"),
        ("${x:-$((1+", "1", ") )}"),
        ("$((", "1", ") )"),
        ("$(( $(( ", "1", " )) ))"),
        ("$((a) ", "1", ")"),
        ("((", "1", "))"),
        ("((a); ", "1", ")"),
        ("(", "", ""),
        ("for ((", "", ""),
        ("case a in (a) ", "", ""),
        ("x=(", "a", ")"),
        ("`", "a", "`"),
        ("@(a|", "b", ")"),
        ("a | ", "b", ""),
        ("a && ", "b", ""),
        ("a <<E\n", "b", "\nE\n"),
        ("$(cat <<E\n", "b", "\nE\n)"),
        ("${x!", "", "}"),
        ("echo $((", "", ""),
        ("{a,", "b", "}"),
        ("{1..2}", "", ""),
    ] {
        for n in [3, 40, 2000, 20_000] {
            let start = std::time::Instant::now();
            interpreted(&nested(open, inner, close, n), Budget::new(Duration::from_secs(5), 64 << 20, 32));
            assert!(start.elapsed() < Duration::from_secs(120), "{n} × {open}");
        }
    }
}
