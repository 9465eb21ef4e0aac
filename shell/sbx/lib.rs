//! `sbx` runs an AI agent's bash actions in a sandbox that the kernel enforces: rootless, in milliseconds, without a daemon.
//!
//! `Policy ─▶ Plan ─▶ Sandbox ─▶ Action ─▶ Observation`
//!
//! Three doors:
//! - [`run`]: one script in the current directory, nothing kept;
//! - [`Shell`]: a sandbox with a policy's manners, for many actions and the patch at the end;
//! - [`Sandbox::command`]: a program, with the names of [`std::process::Command`].
//!
//! ```no_run
//! let mut shell = sbx::Shell::open(&sbx::Policy::preset("whitelist")?, "checkout")?; // never written
//! let seen = shell.run("grep -rn TODO . | wc -l")?; // `Err` only if we failed
//! print!("{}", seen.stdout.text());
//! print!("{}", shell.changes()?.diff_text()); // drop: no process, mount or file remains
//! # Ok::<(), sbx::Error>(())
//! ```
//!
//! As a library take it without its command line: `sbx = { …, default-features = false }` has neither an HTTP client nor
//! a parquet writer in its tree.
#![forbid(unsafe_code)]

pub use sbx_bash::{
    Entry, EntryKind, Listing, LiveSession, LiveShell, Script, Shell, Verdict, judge, outside,
};
pub use sbx_runtime::{
    Action, BUILTINS, Backend, ByteSize, Cancel, Changes, Command, Commit, Denied, Early, Error, Exec,
    FileError, Host, Limits, Missing, Network, Observation, Outcome, Output, PRESETS, Plan, Policy, Recorded,
    Refuse, Sandbox, Session, Stdin, Step, Stream, Timings, View, Waited, Withheld, Workspace,
    format_duration, parse_duration,
};

/// Runs one bash script in the current directory under a policy. The directory itself is not changed.
///
/// # Errors
/// Only when *we* fail: a wall is missing, or the sandbox cannot be built. What the script does wrong is an [`Outcome`].
///
/// ```no_run
/// let seen = sbx::run(&sbx::Policy::preset("whitelist")?, "ls | wc -l")?;
/// assert!(seen.success());
/// # Ok::<(), sbx::Error>(())
/// ```
pub fn run(policy: &Policy, script: &str) -> Result<Observation, Error> {
    Shell::open(policy, ".")?.run(script)
}
