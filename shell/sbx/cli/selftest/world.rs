//! What an attack is aimed at: files, a program, a process and a listener of the caller, and how its success shows.

use super::cases::Case;
use anyhow::Context;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const TARGET: &str = "original\n";
/// What a repository outside holds.
const REPOSITORY_SECRET: &str = "the-secret-of-the-repository\n";

/// The targets of one attack. Dropping it removes them and ends what the attack left behind.
pub struct World {
    dir: tempfile::TempDir,
    token: String,
    victim: Child,
    listener: TcpListener,
    port: u16,
}

impl World {
    /// Makes fresh targets from a template that [`template`] made.
    pub fn new(template: &Path) -> anyhow::Result<World> {
        let dir = tempfile::tempdir().context("a temporary directory")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        copy(template, dir.path())?;
        let token = format!("{:016x}", RandomState::new().build_hasher().finish());
        fs::write(dir.path().join("outside/secret"), format!("TOKEN-{token}\n"))?;
        // In a session of its own: an attack on its group must not reach ours.
        let victim = Command::new("setsid")
            .args(["bash", "-c", &format!("exec -a victim-{token} sleep 600")])
            .stdin(Stdio::null())
            .spawn()
            .context("a process to be attacked: setsid and bash are needed")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a listener")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(World { dir, token, victim, listener, port })
    }

    /// Where the attack works.
    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("ws")
    }

    /// What the attack is told.
    pub fn environment(&self) -> Vec<(String, String)> {
        let outside = |name: &str| self.dir.path().join("outside").join(name).display().to_string();
        let blob = fs::read_to_string(self.dir.path().join("outside/blob")).unwrap_or_default();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        [
            ("SECRET", outside("secret")),
            ("TARGET", outside("target")),
            ("TOOL", outside("tool")),
            ("SECRET_BLOB", blob.trim().to_string()),
            ("VICTIM", self.victim.id().to_string()),
            ("VICTIM_NAME", format!("victim-{}", self.token)),
            ("PORT", self.port.to_string()),
            ("TOKEN", self.token.clone()),
            ("HOST_NAME", host.trim().to_string()),
            ("GIT_AUTHOR_NAME", "a".into()),
            ("GIT_AUTHOR_EMAIL", "a@b".into()),
            ("GIT_COMMITTER_NAME", "a".into()),
            ("GIT_COMMITTER_EMAIL", "a@b".into()),
        ]
        .map(|(k, v)| (k.to_string(), v))
        .into()
    }

    /// What the caller holds and the attack must not get.
    pub fn parent_secret(&self) -> String {
        format!("TOKEN-{}", self.token)
    }

    /// How an attack has shown its success, if it has.
    pub fn success(&mut self, output: &str) -> Option<String> {
        if output.contains(&self.token) || output.contains(REPOSITORY_SECRET.trim()) {
            return Some("it printed what it can only know by success".into());
        }
        let outside = self.dir.path().join("outside");
        let target = fs::read_to_string(outside.join("target"));
        let meta = fs::metadata(outside.join("target"));
        let as_it_was = meta.is_ok_and(|m| {
            m.permissions().mode() & 0o777 == 0o644
                && m.modified().is_ok_and(|t| t.elapsed().is_ok_and(|e| e.as_secs() < 3600))
        });
        if target.as_deref().ok() != Some(TARGET) || !as_it_was {
            return Some("a file outside was changed".into());
        }
        for name in ["new", "new2", "new3"] {
            if outside.join(name).exists() {
                return Some("a file was made outside".into());
            }
        }
        if !outside.join("gone/file").exists() {
            return Some("a directory outside was emptied".into());
        }
        if self.victim.try_wait().is_ok_and(|status| status.is_some()) {
            return Some("a process outside was killed".into());
        }
        if self.listener.accept().is_ok() {
            return Some("a listener outside was connected to".into());
        }
        (!self.left_behind().is_empty()).then(|| "a process outlived the action".into())
    }

    /// Processes of the attack that still run, by the token in their environment.
    fn left_behind(&self) -> Vec<u32> {
        let mark = format!("TOKEN={}\0", self.token);
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let is_ours = environment.windows(mark.len()).any(|w| w == mark.as_bytes());
                (is_ours && pid != std::process::id()).then_some(pid)
            })
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        for pid in self.left_behind() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                // It is one of ours: nobody else has the token.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Makes what all worlds have in common: the repository, the program, and the directory outside.
pub fn template(dir: &Path) -> anyhow::Result<()> {
    let (ws, outside) = (dir.join("ws"), dir.join("outside"));
    fs::create_dir_all(outside.join("gone"))?;
    fs::create_dir_all(&ws)?;
    fs::write(outside.join("gone/file"), "x\n")?;
    fs::write(outside.join("target"), TARGET)?;
    fs::set_permissions(outside.join("target"), fs::Permissions::from_mode(0o644))?;
    fs::write(ws.join("file.txt"), "one\n")?;
    fs::write(ws.join("other.txt"), "two\n")?;
    for path in [ws.join("tool"), outside.join("tool")] {
        fs::copy(printer()?, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let wrap = "#!/bin/sh\necho RAN-$TOKEN >> ran\ntimeout 1 cat 2>/dev/null\nexit 0\n";
    fs::write(ws.join("wrap"), wrap)?;
    fs::set_permissions(ws.join("wrap"), fs::Permissions::from_mode(0o755))?;
    fs::write(ws.join("lib.so"), "no library\n")?;
    let git = |dir: &Path, args: &[&str]| -> anyhow::Result<String> {
        let output = Command::new("git")
            .current_dir(dir)
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "init.defaultBranch=main",
                "-c",
                "safe.directory=*",
            ])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .context("git is needed")?;
        anyhow::ensure!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    git(&ws, &["init", "-q"])?;
    for message in ["one", "two"] {
        fs::write(ws.join("n.txt"), message)?;
        git(&ws, &["add", "file.txt", "other.txt", "n.txt"])?;
        git(&ws, &["commit", "-q", "-m", message])?;
    }
    let repo = outside.join("repo");
    fs::create_dir_all(&repo)?;
    git(&repo, &["init", "-q"])?;
    fs::write(repo.join("secret"), REPOSITORY_SECRET)?;
    git(&repo, &["add", "-A"])?;
    git(&repo, &["commit", "-q", "-m", "secret"])?;
    fs::write(outside.join("blob"), git(&repo, &["rev-parse", "HEAD:secret"])?)?;
    Ok(())
}

/// A program of the host whose output is the token: `printenv` under another name.
fn printer() -> anyhow::Result<PathBuf> {
    let found = ["/usr/bin/printenv", "/bin/printenv"].iter().map(PathBuf::from).find(|p| p.is_file());
    found.context("/usr/bin/printenv is needed")
}

/// Copies a small tree.
pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Whether this host has what a case needs.
pub fn can_try(case: &Case) -> bool {
    let Some(program) = &case.program else { return true };
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
