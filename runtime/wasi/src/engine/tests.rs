//! The real commands, one at a time and in pipelines.

use super::Machine;
use super::budget::{Budget, Stop};
use super::job::{Exit, Job};
use crate::fs::{Capture, Handle, Tree, pipe};
use sbx_runtime::{Policy, Workspace};
use std::time::Duration;

struct World {
    dir: tempfile::TempDir,
    tree: Tree,
    budget: Budget,
}

impl World {
    fn new() -> World {
        World::within(Budget::new(Duration::from_secs(600), 1 << 30, 64))
    }

    fn within(budget: Budget) -> World {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy::preset("whitelist").unwrap();
        let workspace = Workspace::new(dir.path()).at("/workspace").resolved().unwrap();
        let tree = Tree::over(&workspace, &policy, &["ls"]).unwrap();
        World { dir, tree, budget }
    }

    fn run(&self, line: &str, stdio: [Handle; 3]) -> Exit {
        let argv = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let env = [("PATH", "/usr/bin"), ("LC_ALL", "C.UTF-8"), ("TMPDIR", "/tmp")];
        let env = env.map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).to_vec();
        let fds = (0..).zip(stdio).collect();
        let (tree, budget) = (&self.tree, &self.budget);
        let cwd = b"/workspace".to_vec();
        let job = Job { argv, env, cwd, fds, tree, budget, umask: 0o22, spawn: None };
        Machine::load().unwrap().run(job)
    }

    /// Status, stdout and stderr.
    fn see(&self, line: &str) -> (i32, String, String) {
        let (out, err) = (Capture::new(1 << 20), Capture::new(1 << 20));
        let exit = self.run(line, [Handle::null(), out.handle(), err.handle()]);
        let text = |c: &Capture| String::from_utf8(c.take()).unwrap();
        (exit.code(), text(&out), text(&err))
    }

    fn out(&self, line: &str) -> String {
        let (code, out, err) = self.see(line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}: {out}");
        out
    }

    /// Runs the stages of a pipeline at once.
    fn pipeline(&self, line: &str) -> (i32, String) {
        let out = Capture::new(1 << 20);
        let mut stdin = Handle::null();
        let stages: Vec<&str> = line.split(" | ").collect();
        std::thread::scope(|scope| {
            let mut last = None;
            for (n, &stage) in stages.iter().enumerate() {
                let (read, write) =
                    if n + 1 == stages.len() { (Handle::null(), out.handle()) } else { pipe() };
                let stdio = [std::mem::replace(&mut stdin, read), write, Handle::null()];
                last = Some(scope.spawn(move || self.run(stage, stdio).code()));
            }
            let code = last.map_or(0, |stage| stage.join().unwrap());
            (code, String::from_utf8(out.take()).unwrap())
        })
    }
}

#[test]
fn commands_read_and_write_the_tree_and_not_the_host() {
    let world = World::new();
    std::fs::write(world.dir.path().join("b"), "x foo\ny\nz foo\n").unwrap();
    assert_eq!(world.out("ls"), "b\n");
    assert_eq!(world.out("grep -c foo b"), "2\n");
    assert_eq!(world.out("grep -rn foo ."), "./b:1:x foo\n./b:3:z foo\n");
    assert_eq!(world.out("cp b c"), "");
    assert_eq!(world.out("sed -i s/foo/bar/ c"), "");
    assert_eq!(world.out("cat c"), "x bar\ny\nz bar\n");
    assert_eq!(world.out("mkdir -p d/e"), "");
    assert_eq!(world.out("mv c d/e/f"), "");
    assert_eq!(world.out("find . -type f"), "./b\n./d/e/f\n");
    assert_eq!(world.out("rm -r d b"), "");
    assert_eq!(world.out("ls -A"), "");
    assert_eq!(world.out("cp -r /workspace /tmp/copy"), "");
    let names: Vec<_> =
        std::fs::read_dir(world.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(std::fs::read(world.dir.path().join("b")).unwrap(), b"x foo\ny\nz foo\n");
}

#[test]
fn nothing_of_the_host_is_there() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc", world.dir.path().join("etclink")).unwrap();
    std::os::unix::fs::symlink("../../../../etc/shadow", world.dir.path().join("up")).unwrap();
    for line in [
        "cat /etc/shadow",
        "cat ../../etc/shadow",
        "cat etclink/shadow",
        "cat up",
        "cp b /usr/x",
        "touch /x",
        "mkdir /root/x",
        "ls /proc/1",
        "ls /home/user",
        "rm /etc/passwd",
        "ln b /etc/x",
    ] {
        let (code, out, err) = world.see(line);
        assert!(code != 0 && out.is_empty() && !err.is_empty(), "{line}: {code} {out} {err}");
    }
    assert_eq!(world.out("ls /"), "bin\ndev\netc\nhome\nproc\ntmp\nusr\nworkspace\n");
}

#[test]
fn a_writer_without_a_reader_ends_by_its_signal() {
    let world = World::new();
    assert_eq!(world.pipeline("yes | head -n 2"), (0, "y\ny\n".into()));
    let (read, write) = pipe();
    drop(read);
    assert_eq!(world.run("yes", [Handle::null(), write, Handle::null()]), Exit::Signal(13));
}

#[test]
fn pipelines_lose_nothing() {
    let world = World::new();
    let text: String = (0..5000).map(|n| format!("{}\n", n * 7919 % 5000)).collect();
    std::fs::write(world.dir.path().join("n"), text).unwrap();
    assert_eq!(world.pipeline("cat n | sort -n | uniq | wc -l"), (0, "5000\n".into()));
    assert_eq!(world.pipeline("cat n | sort -n | tail -n 1"), (0, "4999\n".into()));
}

#[test]
fn whatever_computes_or_waits_ends_with_its_action() {
    for line in ["yes", "sleep 3600", "cat"] {
        let world = World::new();
        let (read, write) = pipe();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| world.run(line, [read, Handle::null(), Handle::null()]));
            world.budget.stop(Stop::Cancelled);
            assert_eq!(running.join().unwrap(), Exit::Signal(9), "{line}");
        });
        drop(write);
    }
}

#[test]
fn memory_is_bounded_for_all_commands_together() {
    let world = World::within(Budget::new(Duration::from_secs(600), 64 << 20, 64));
    let zeros = world.tree.open(b"/", b"/dev/zero", crate::fs::Open::read()).unwrap();
    assert_eq!(world.run("sort", [zeros, Handle::null(), Handle::null()]), Exit::Signal(9));
    assert!(world.budget.memory_fired());
    assert!(world.budget.take(64 << 20), "all of it was given back");
}
