//! Git on the host, on repositories that no agent wrote: without configuration of user or system, without hooks.

use std::path::Path;
use std::process::{Command, Stdio};

const SETTINGS: [&str; 12] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "gc.auto=0",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
    "core.autocrlf=false",
    "core.symlinks=true",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
];

/// What git may know of the user's environment: how to reach a server, and nothing else.
const KEPT: [&str; 12] = [
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Runs git in a directory and returns its output without the end of line; of a failure, the last line of its words.
pub(super) fn git(dir: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(SETTINGS.iter().flat_map(|s| ["-c", s])).args(args);
    command.env_clear().stdin(Stdio::null());
    command.envs(KEPT.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
    command.envs([
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C.UTF-8"),
    ]);
    let output = command.output().map_err(|e| format!("git: {e}; git is needed to make checkouts"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_string());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("git {}: {last}", args.first().unwrap_or(&"")))
}
