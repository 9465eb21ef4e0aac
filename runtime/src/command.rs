//! A program to run in a sandbox, with the names of [`std::process::Command`].

use crate::{Action, Error, Observation, Sandbox};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// A program with its arguments, bound to the sandbox in which it will run.
///
/// ```no_run
/// # let mut sandbox = sbx_runtime::Sandbox::open(&sbx_runtime::Policy::preset("whitelist")?, ".")?;
/// let seen = sandbox.command("sort").arg("-u").stdin("b\na\nb\n").output()?;
/// assert_eq!(seen.stdout.text(), "a\nb\n");
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Command<'a> {
    sandbox: &'a mut Sandbox,
    argv: Vec<OsString>,
    edits: Vec<Edit>,
}

#[derive(Debug)]
enum Edit {
    Env(OsString, OsString),
    Stdin(Vec<u8>),
    Dir(OsString),
    Time(Duration),
}

impl<'a> Command<'a> {
    pub(crate) fn new(sandbox: &'a mut Sandbox, program: &OsStr) -> Command<'a> {
        Command { sandbox, argv: vec![program.into()], edits: Vec::new() }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.argv.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().into()));
        self
    }

    /// Sets a variable of its environment; see [`Action::env`].
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.edits.push(Edit::Env(key.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Bytes for its stdin. Default: `/dev/null`.
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.edits.push(Edit::Stdin(bytes.into()));
        self
    }

    /// Its directory, absolute or relative to the workspace. Default: the workspace.
    pub fn current_dir(&mut self, dir: impl AsRef<OsStr>) -> &mut Self {
        self.edits.push(Edit::Dir(dir.as_ref().into()));
        self
    }

    /// A wall time of its own; the policy's holds when it is shorter.
    pub fn time(&mut self, time: Duration) -> &mut Self {
        self.edits.push(Edit::Time(time));
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn output(&mut self) -> Result<Observation, Error> {
        let mut action = Action::program(&self.argv);
        for edit in &self.edits {
            action = match edit {
                Edit::Env(key, value) => action.env(key, value),
                Edit::Stdin(bytes) => action.stdin(bytes.clone()),
                Edit::Dir(dir) => action.cwd(dir),
                Edit::Time(time) => action.time(*time),
            };
        }
        self.sandbox.run(&action)
    }
}
