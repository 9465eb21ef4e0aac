//! A lower directory that is a git repository, an upper directory to write into, and git itself to compare with.

mod commit;
mod patch;

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

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
    /// A whiteout, which anybody may make (Linux 5.8).
    fn remove(&self, path: &str) {
        let path = self.path("upper", path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make_node(&path, rustix::fs::FileType::CharacterDevice);
    }
    fn chmod(&self, layer: &str, path: &str, mode: u32) {
        fs::set_permissions(self.path(layer, path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fn commit(&self) -> Commit {
        self.changes().commit(&self.dir.path().join("lower")).unwrap()
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
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "init.defaultBranch=main",
                "-c",
                "core.fsync=none",
            ])
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

fn make_node(path: &Path, kind: rustix::fs::FileType) {
    let (cwd, mode) = (rustix::fs::CWD, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(cwd, path, kind, mode, 0).unwrap();
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    fn text(&mut self) -> String {
        let lines = self.below(60);
        let mut text: String = (0..lines)
            .map(|_| match self.below(8) {
                0 => String::from("\n"),
                1 => format!("def f{}():\n", self.below(20)),
                n => format!("{}line {}\n", "    ".repeat((n % 3) as usize), self.below(30)),
            })
            .collect();
        if self.below(4) == 0 {
            text.push_str("no end");
        }
        text
    }
}
