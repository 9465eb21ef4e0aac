//! Runs an attack: behind the walls, without any, or behind those of another sandbox.

use super::cases::Case;
use super::world::{World, can_try};
use sbx::{Action, Backend, Error, Outcome, Policy, Shell};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest time of an attack.
const TIME: Duration = Duration::from_secs(10);

/// Who holds the walls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// This sandbox.
    Sbx,
    /// Nobody: bash on the host.
    Bare,
    /// bubblewrap, with the whole of /usr read-only and every namespace.
    Bwrap,
    /// firejail, private and without a network.
    Firejail,
    /// nsjail, with the whole of /usr read-only.
    Nsjail,
}

impl Runner {
    pub const ALL: [Runner; 5] = [Runner::Sbx, Runner::Bare, Runner::Bwrap, Runner::Firejail, Runner::Nsjail];

    pub fn name(self) -> &'static str {
        match self {
            Runner::Sbx => "sbx",
            Runner::Bare => "bare",
            Runner::Bwrap => "bwrap",
            Runner::Firejail => "firejail",
            Runner::Nsjail => "nsjail",
        }
    }

    /// Whether it is on this host.
    pub fn is_here(self) -> bool {
        matches!(self, Runner::Sbx | Runner::Bare)
            || std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(self.name()).is_file()))
    }
}

/// What came of an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    /// It did not reach its aim.
    Stopped,
    /// It did; this shows it.
    Escaped(String),
    /// It was not tried, for this reason.
    Skipped(String),
}

/// Policies, read once.
pub struct Policies {
    backend: Backend,
    /// Two harmless actions come before the attack.
    warm: bool,
    read: Mutex<HashMap<String, Policy>>,
}

impl Policies {
    pub fn new(backend: Backend, warm: bool) -> Policies {
        Policies { backend, warm, read: Mutex::default() }
    }

    fn get(&self, case: &Case) -> Result<Policy, sbx::Error> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{}/{}", case.policy, case.category == "limits");
        if let Some(policy) = read.get(&key) {
            return Ok(policy.clone());
        }
        let mut policy = Policy::preset(&case.policy)?;
        policy.limits.time = TIME;
        policy.backend = self.backend;
        // Walls are tried here, not manners.
        policy.refuse.clear();
        if case.category == "limits" {
            policy.limits.time = Duration::from_secs(2);
            policy.limits.memory = sbx::ByteSize(256 << 20);
            policy.limits.workspace = sbx::ByteSize(64 << 20);
            policy.limits.processes = 48;
        }
        read.insert(key, policy.clone());
        Ok(policy)
    }
}

/// Tries an attack.
pub fn attempt(case: &Case, runner: Runner, template: &Path, policies: &Policies) -> anyhow::Result<Verdict> {
    if !can_try(case) {
        let program = case.program.as_deref().unwrap_or_default();
        return Ok(Verdict::Skipped(format!("this host has no {program}")));
    }
    if runner != Runner::Sbx
        && let Some(why) = &case.not_bare
    {
        return Ok(Verdict::Skipped(why.clone()));
    }
    let mut world = World::new(template)?;
    if runner != Runner::Sbx {
        let mut env = world.environment();
        env.push(("PARENT_SECRET".into(), world.parent_secret()));
        let (output, _) = elsewhere(&case.script, runner, &world.workspace(), &env, true)?;
        return Ok(judged(&mut world, &output));
    }
    let policy = policies.get(case)?;
    let mut shell = match Shell::open(&policy, world.workspace()) {
        // This backend has nothing of what the attack would use.
        Err(Error::Policy(why)) if policy.backend == Backend::Wasi => return Ok(Verdict::Skipped(why)),
        opened => opened?,
    };
    for _ in 0..if policies.warm { 2 } else { 0 } {
        shell.run("true")?;
    }
    let mut action = Action::bash(&case.script).merged();
    for (key, value) in world.environment() {
        action = action.env(key, value);
    }
    let seen = shell.act(&action)?;
    if case.category == "limits" {
        let bounded = seen.outcome != Outcome::Exited || !seen.limits_hit.is_empty() || seen.exit_code != 0;
        if !bounded && !case.script.contains("TOKEN") {
            return Ok(Verdict::Escaped("no limit fired".into()));
        }
    }
    // What is left of a sandbox that is still there is not left behind.
    let output = seen.stdout.text();
    if case.id.starts_with("outlives") {
        return Ok(judged(&mut world, &output));
    }
    drop(shell);
    Ok(judged(&mut world, &output))
}

fn judged(world: &mut World, output: &str) -> Verdict {
    world.success(output).map_or(Verdict::Stopped, Verdict::Escaped)
}

/// Whether a runner can run anything on this host.
pub fn works(runner: Runner) -> bool {
    let Ok(dir) = tempfile::tempdir() else { return false };
    elsewhere("echo works", runner, dir.path(), &[], false)
        .is_ok_and(|(said, status)| said.contains("works") && status == 0)
}

/// Runs a script without our walls; what it printed, its errors too if they are wanted, and its status.
pub fn elsewhere(
    script: &str,
    runner: Runner,
    ws: &Path,
    env: &[(String, String)],
    with_errors: bool,
) -> anyhow::Result<(String, i32)> {
    let path = ws.display().to_string();
    let words: Vec<&str> = match runner {
        Runner::Bare | Runner::Sbx => vec!["bash", "-c", script],
        Runner::Bwrap => bwrap(&path, script),
        Runner::Firejail => vec![
            "firejail",
            "--quiet",
            "--noprofile",
            "--net=none",
            "--caps.drop=all",
            "--seccomp",
            "bash",
            "-c",
            script,
        ],
        Runner::Nsjail => vec![
            "nsjail",
            "-Mo",
            "-Q",
            "--disable_proc",
            "-R",
            "/usr",
            "-R",
            "/bin",
            "-R",
            "/lib",
            "-R",
            "/lib64",
            "-R",
            "/etc",
            "-B",
            &path,
            "--cwd",
            &path,
            "-T",
            "/tmp",
            "--keep_env",
            "--",
            "/bin/bash",
            "-c",
            script,
        ],
    };
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "10", "env", "-u", "PARENT_SECRET"]).args(&words);
    // The caller of the attack: it knows a secret, as an agent's driver knows its keys.
    let mut outer = Command::new("bash");
    outer
        .current_dir(ws)
        .args(["-c", "\"$@\" & wait $!", "caller"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(env.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .env("HOME", ws.join("../home"))
        .stdin(Stdio::null());
    // Files instead of pipes: what outlives its action would hold a pipe open.
    let file = tempfile::NamedTempFile::new()?;
    // Appended to, so that the two do not overwrite each other.
    let both = std::fs::OpenOptions::new().append(true).open(file.path())?;
    let errors = if with_errors { Stdio::from(both.try_clone()?) } else { Stdio::null() };
    let status = outer.stdout(both).stderr(errors).status()?;
    let bytes = std::fs::read(file.path())?;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 << 20)]).into_owned();
    Ok((text, status.code().unwrap_or(-1)))
}

/// bubblewrap as it is commonly used: `/usr` read-only, every namespace of its own, the workspace writable.
pub fn bwrap<'a>(ws: &'a str, script: &'a str) -> Vec<&'a str> {
    let mut words: Vec<&str> = "bwrap --unshare-all --die-with-parent --new-session --ro-bind /usr /usr --symlink usr/bin /bin \
        --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin --ro-bind /etc /etc --proc /proc --dev /dev --tmpfs /tmp"
        .split_whitespace()
        .collect();
    words.extend(["--bind", ws, ws, "--chdir", ws, "bash", "-c", script]);
    words
}
