use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// A lower directory that is a git repository, and an upper directory to write into.
struct Layers {
    dir: tempfile::TempDir,
}

impl Layers {
    fn new() -> Layers {
        let dir = tempfile::tempdir().unwrap();
        for name in ["lower", "upper"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Layers { dir }
    }
    fn path(&self, layer: &str, path: &str) -> PathBuf {
        self.dir.path().join(layer).join(path)
    }
    fn write(&self, layer: &str, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(layer, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fn mark(&self, path: &str, name: &str) {
        let file = fs::File::open(self.path("upper", path)).unwrap();
        rustix::fs::fsetxattr(&file, name, b"y", rustix::fs::XattrFlags::empty()).unwrap();
    }
    fn remove(&self, path: &str) {
        self.write("upper", path, "");
        self.mark(path, "user.overlay.whiteout");
    }
    fn changes(&self) -> Changes {
        let upper = fs::File::open(self.dir.path().join("upper")).unwrap();
        Changes::read(upper.into(), &self.dir.path().join("lower")).unwrap()
    }
    fn git(&self, args: &[&str]) -> Vec<u8> {
        let output = Command::new("git")
            .current_dir(self.dir.path().join("lower"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
    fn gits_own_diff(&self) -> Vec<u8> {
        self.git(&["add", "-A", "-N"]);
        self.git(&["diff", "--binary", "--no-renames", "HEAD"])
    }
    fn commit_lower(&self) {
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "base"]);
    }
}

#[test]
fn the_patch_is_gits_own() {
    let l = Layers::new();
    let body: String = (0..60).map(|i| format!("def f{i}():\n    return {i}\n\n")).collect();
    for (path, text) in [
        ("a.py", body.as_str()),
        ("gone.txt", "x\ny\n"),
        ("dir/b", "1\n2"),
        ("mode.sh", "m\n"),
        ("same", "s\n"),
        ("empty", ""),
        ("old/one", "1\n"),
        ("old/two", "2\n"),
        ("with blank", "b\n"),
        ("swap", "t\n"),
    ] {
        l.write("lower", path, text);
    }
    l.write("lower", "bin", [0u8, 1, 2, 3]);
    l.write("lower", ".gitignore", "*.log\n/build/\n!keep.log\n");
    l.commit_lower();
    l.write(
        "upper",
        "a.py",
        body.replace("return 7\n", "return 8\n")
            .replace("def f40", "def g40")
            .replace("return 59\n\n", "return 59"),
    );
    l.remove("gone.txt");
    l.write("upper", "dir/b", "1\n2\n");
    l.write("upper", "dir/new", "n");
    l.write("upper", "mode.sh", "m\n");
    fs::set_permissions(l.path("upper", "mode.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    l.write("upper", "same", "s\n");
    l.write("upper", "bin", [0u8, 9, 9, 9, 7]);
    l.write("upper", "newbin", (0..=255u8).cycle().take(3000).collect::<Vec<_>>());
    l.write("upper", "old/three", "3\n");
    l.mark("old", "user.overlay.opaque");
    l.write("upper", "with blank", "c\n");
    l.write("upper", "täb\t\"q\"", "q\n");
    symlink("t", l.path("upper", "swap")).unwrap();
    l.write("upper", "x.log", "ignored");
    l.write("upper", "keep.log", "kept\n");
    l.write("upper", "build/deep/file", "ignored");
    l.write("upper", "newempty", "");
    l.write("upper", ".git/hooks/pre-commit", "evil");
    let changes = l.changes();
    let ours = changes.diff_text();
    let commit = changes.commit(&l.dir.path().join("lower")).unwrap();
    assert_eq!(
        commit.withheld.iter().map(|w| w.path.to_str().unwrap()).collect::<Vec<_>>(),
        [".git/hooks/pre-commit"]
    );
    let gits = String::from_utf8(l.gits_own_diff()).unwrap();
    assert_eq!(without_deflated(&ours), without_deflated(&gits));
    assert!(!ours.contains("x.log"));
    // Two deflaters need not agree on bytes, so the binary parts are held against what git makes of them.
    let after = l.git(&["ls-files", "-s"]);
    l.git(&["reset", "-q", "--hard"]);
    l.git(&["clean", "-q", "-fd"]);
    let patch = l.path("", "p.diff");
    fs::write(&patch, changes.diff()).unwrap();
    l.git(&["apply", "--index", patch.to_str().unwrap()]);
    l.git(&["update-index", "-q", "--refresh"]);
    assert_eq!(names(&l.git(&["ls-files"])), names_of_entries(&after));
    assert_eq!(String::from_utf8(l.git(&["diff", "--binary", "--no-renames", "HEAD"])).unwrap(), gits);
}

fn names(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(String::from).collect()
}

fn names_of_entries(bytes: &[u8]) -> Vec<String> {
    names(bytes)
        .iter()
        .map(|l| l.split_once('\t').unwrap().1.to_string())
        .filter(|n| !REMOVED.contains(&n.as_str()))
        .collect()
}

/// `add -N` keeps the index entries of removed files.
const REMOVED: [&str; 3] = ["gone.txt", "old/one", "old/two"];

/// A patch without the deflated lines of binary files.
fn without_deflated(patch: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        let was = inside;
        inside = line.starts_with("literal ") || (was && !line.is_empty());
        !was || line.starts_with("literal ")
    };
    patch.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

#[test]
fn random_edits_give_a_patch_that_leads_to_the_same_tree() {
    let mut state = 42u64;
    let mut random = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for _ in 0..20 {
        let l = Layers::new();
        let text = |r: &mut dyn FnMut(u64) -> u64| {
            let lines = r(80);
            let mut text: String =
                (0..lines).map(|_| format!("{}line {}\n", "  ".repeat(r(3) as usize), r(6))).collect();
            if r(3) == 0 {
                text.push_str("no end");
            }
            text
        };
        for i in 0..12 {
            l.write("lower", &format!("d{}/f{i}", i % 3), text(&mut random));
        }
        l.commit_lower();
        for i in 0..12 {
            let path = format!("d{}/f{i}", i % 3);
            match random(4) {
                0 => l.remove(&path),
                1 => {
                    let old = fs::read_to_string(l.path("lower", &path)).unwrap();
                    let mut lines: Vec<&str> = old.lines().collect();
                    for _ in 0..random(5) {
                        let at = random(lines.len() as u64 + 1) as usize;
                        if random(2) == 0 && at < lines.len() {
                            lines.remove(at);
                        } else {
                            lines.insert(at, "inserted");
                        }
                    }
                    l.write("upper", &path, lines.join("\n"));
                }
                2 => l.write("upper", &format!("new{i}"), text(&mut random)),
                _ => {}
            }
        }
        let changes = l.changes();
        let patch = l.path("", "p.diff");
        fs::write(&patch, changes.diff()).unwrap();
        if !changes.diff().is_empty() {
            l.git(&["apply", "--index", patch.to_str().unwrap()]);
            l.git(&["commit", "-q", "-m", "by patch"]);
        }
        // The commit must find nothing left to change.
        changes.commit(&l.dir.path().join("lower")).unwrap();
        l.git(&["add", "-A"]);
        assert_eq!(String::from_utf8_lossy(&l.git(&["diff", "--cached", "HEAD"])), "");
    }
}

#[test]
fn a_commit_withholds_what_could_harm_and_takes_the_rest() {
    let l = Layers::new();
    l.write("lower", ".git/config", "[core]\n");
    l.write("lower", ".git/HEAD", "ref: refs/heads/main\n");
    l.write("upper", "fine.txt", "fine");
    l.write("upper", ".git/HEAD", "ref: refs/heads/x\n");
    l.write("upper", ".git/config", "[core]\nfsmonitor = evil\n");
    l.write("upper", ".git/hooks/post-checkout", "evil");
    l.write("upper", "sub/.git/config", "evil");
    l.write("upper", "suid", "s");
    fs::set_permissions(l.path("upper", "suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", l.path("upper", "out")).unwrap();
    symlink("../../etc", l.path("upper", "sub/up")).unwrap();
    symlink("../fine.txt", l.path("upper", "sub/inner")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        l.path("upper", "pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let commit = l.changes().commit(&l.dir.path().join("lower")).unwrap();
    let withheld: Vec<_> = commit.withheld.iter().map(|w| w.path.to_str().unwrap()).collect();
    assert_eq!(withheld, [".git/config", ".git/hooks", "out", "pipe", "sub/.git", "sub/up", "suid"]);
    assert_eq!(fs::read_to_string(l.path("lower", ".git/config")).unwrap(), "[core]\n");
    assert_eq!(fs::read_to_string(l.path("lower", ".git/HEAD")).unwrap(), "ref: refs/heads/x\n");
    assert_eq!(fs::read_to_string(l.path("lower", "sub/inner")).unwrap(), "fine");
    assert!(!l.path("lower", "out").exists());
}

#[test]
fn a_commit_follows_no_link_that_was_planted_in_the_real_directory() {
    let l = Layers::new();
    l.write("", "outside/victim", "whole");
    symlink("../outside", l.path("lower", "dir")).unwrap();
    symlink("../outside/victim", l.path("lower", "file")).unwrap();
    l.write("upper", "file", "new");
    let changes = l.changes();
    changes.commit(&l.dir.path().join("lower")).unwrap();
    assert_eq!(fs::read_to_string(l.path("", "outside/victim")).unwrap(), "whole");
    assert!(fs::symlink_metadata(l.path("lower", "file")).unwrap().is_file());
    // A directory in the way of a link of the real tree: the link is replaced, what it led to is not entered.
    l.write("upper", "dir/victim", "evil");
    l.changes().commit(&l.dir.path().join("lower")).unwrap();
    assert_eq!(fs::read_to_string(l.path("", "outside/victim")).unwrap(), "whole");
}

#[test]
fn a_file_without_rights_is_read_all_the_same() {
    let l = Layers::new();
    l.write("upper", "locked/secret", "s\n");
    fs::set_permissions(l.path("upper", "locked/secret"), fs::Permissions::from_mode(0)).unwrap();
    fs::set_permissions(l.path("upper", "locked"), fs::Permissions::from_mode(0)).unwrap();
    assert!(l.changes().diff_text().contains("+s"));
}

#[test]
fn a_tree_that_is_too_deep_is_an_error_and_not_a_crash() {
    let l = Layers::new();
    l.write("upper", &format!("{}x", "d/".repeat(300)), "");
    let upper = fs::File::open(l.dir.path().join("upper")).unwrap();
    let error = Changes::read(upper.into(), &l.dir.path().join("lower")).unwrap_err();
    assert!(error.to_string().contains("deeper than 256"), "{error}");
}
