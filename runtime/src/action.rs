//! One thing to do: a bash script or a program, with its stdin and limits.

use crate::Cancel;
use crate::policy::is_dangerous;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Longest script that is passed as an argument of `bash -c`; the kernel's own bound is 128 KiB for one argument.
/// A longer one is read by bash from a descriptor.
pub(crate) const MAX_ARGUMENT_SCRIPT: usize = 120 << 10;

/// A bash script or a program, with its stdin and its own tighter limits.
///
/// ```
/// use sbx_runtime::Action;
/// use std::time::Duration;
/// let action = Action::bash("sort | head -n 1").stdin("b\na\n").env("LC_ALL", "C").time(Duration::from_secs(5));
/// ```
#[derive(Debug)]
pub struct Action {
    pub(crate) what: What,
    pub(crate) stdin: Stdin,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) cwd: Option<OsString>,
    pub(crate) time: Option<Duration>,
    pub(crate) cancel: Option<Cancel>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) merged: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    Script(OsString),
    Program(Vec<OsString>),
    /// A bash that reads its commands from stdin, with the terminal that is its stdout.
    Interactive,
}

/// What an action reads.
#[derive(Debug, Default)]
pub enum Stdin {
    /// `/dev/null`. The default: nothing hangs on a terminal that nobody watches.
    #[default]
    Null,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A descriptor of the caller's.
    Descriptor(OwnedFd),
}

impl Action {
    /// A script for `bash -c`.
    pub fn bash(script: impl AsRef<OsStr>) -> Action {
        Action::new(What::Script(script.as_ref().to_os_string()))
    }

    /// A program by name or path, with its arguments.
    pub fn program<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) -> Action {
        Action::new(What::Program(argv.into_iter().map(|s| s.as_ref().to_os_string()).collect()))
    }

    /// The bash of a [`Session`](crate::Session).
    pub(crate) fn interactive() -> Action {
        Action::new(What::Interactive)
    }

    fn new(what: What) -> Action {
        Action {
            what,
            stdin: Stdin::Null,
            env: BTreeMap::new(),
            cwd: None,
            time: None,
            cancel: None,
            stdout: None,
            stderr: None,
            merged: false,
        }
    }

    /// Bytes for its stdin. Default: `/dev/null`.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Action {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// A descriptor for its stdin, such as the caller's own. What has a name on the host the action can also change the mode
    /// and times of, by way of `/proc/self/fd/0`; a directory is refused when the action is run.
    #[must_use]
    pub fn stdin_from(mut self, fd: OwnedFd) -> Action {
        self.stdin = Stdin::Descriptor(fd);
        self
    }

    /// Descriptors that its stdout and stderr go to directly. The observation then holds no output.
    #[must_use]
    pub fn output_to(mut self, stdout: OwnedFd, stderr: OwnedFd) -> Action {
        (self.stdout, self.stderr) = (Some(stdout), Some(stderr));
        self
    }

    /// Sends stderr into stdout, in the order of writing. Default: apart.
    #[must_use]
    pub fn merged(mut self) -> Action {
        self.merged = true;
        self
    }

    /// Sets a variable of its environment, over the policy's. Variables that make a loader or a shell run something
    /// (`LD_PRELOAD`, `BASH_ENV`, `PATH`…) are left out.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Action {
        self.env.insert(key.as_ref().into(), value.as_ref().into());
        self
    }

    /// Its directory, absolute or relative to the workspace. Default: the workspace.
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<OsStr>) -> Action {
        self.cwd = Some(dir.as_ref().into());
        self
    }

    /// A wall time of its own. The policy's `limits.time` still holds when it is shorter.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Action {
        self.time = Some(time);
        self
    }

    /// Lets it be ended from elsewhere: its outcome is then [`Outcome::Cancelled`](crate::Outcome::Cancelled). Default: by its
    /// time alone.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Action {
        self.cancel = Some(cancel.clone());
        self
    }

    /// What it reads.
    pub fn input(&self) -> &Stdin {
        &self.stdin
    }

    /// The caller's descriptors that its stdout and stderr go to, if any.
    pub fn outputs(&self) -> Option<(&OwnedFd, &OwnedFd)> {
        Some((self.stdout.as_ref()?, self.stderr.as_ref()?))
    }

    /// Whether stderr goes into stdout.
    pub fn is_merged(&self) -> bool {
        self.merged
    }

    /// Its directory, if it is not the workspace.
    pub fn directory(&self) -> Option<&OsStr> {
        self.cwd.as_deref()
    }

    /// Its own wall time, if it has one.
    pub fn own_time(&self) -> Option<Duration> {
        self.time
    }

    /// What can end it from elsewhere, if anything can.
    pub fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// Its environment: `base` with its own variables over it, but for those that make a loader or a shell run something.
    pub fn environment(&self, base: &BTreeMap<String, String>) -> BTreeMap<OsString, OsString> {
        let mut env: BTreeMap<OsString, OsString> = base.iter().map(|(k, v)| (k.into(), v.into())).collect();
        for (key, value) in &self.env {
            let bytes = key.as_bytes();
            let safe = !bytes.is_empty() && !bytes.contains(&b'=') && !key.to_str().is_none_or(is_dangerous);
            if safe {
                env.insert(key.clone(), value.clone());
            }
        }
        env
    }

    /// The script, when it is one.
    pub fn script(&self) -> Option<&OsStr> {
        match &self.what {
            What::Script(text) => Some(text),
            What::Program(_) | What::Interactive => None,
        }
    }

    /// The program and its arguments; nothing for a script.
    pub fn arguments(&self) -> impl Iterator<Item = &OsStr> {
        let argv: &[OsString] = match &self.what {
            What::Script(_) | What::Interactive => &[],
            What::Program(argv) => argv,
        };
        argv.iter().map(OsString::as_os_str)
    }

    /// The program's name, when it is one: `bash` for a script.
    pub fn program_name(&self) -> &OsStr {
        match &self.what {
            What::Script(_) | What::Interactive => OsStr::new("bash"),
            What::Program(argv) => argv.first().map_or(OsStr::from_bytes(b""), |s| s.as_os_str()),
        }
    }
}
