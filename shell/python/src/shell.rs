//! A sandbox for Python, in which scripts run one after the other.

use crate::waiting::interruptible;
use crate::{MAX_FILE, Observation, Open, Policy, Raised, patch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sbx_runtime::{Action, Workspace};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Most entries of a directory that are listed where no limit is given.
const MAX_ENTRIES: usize = 1 << 20;

/// A sandbox around one checkout, which itself is never written. Use it as a context manager.
#[pyclass(frozen)]
pub(crate) struct Shell(Open<sbx_bash::Shell>);

#[pymethods]
impl Shell {
    #[new]
    #[pyo3(signature = (policy, workspace, at=None))]
    fn new(py: Python<'_>, policy: Policy, workspace: PathBuf, at: Option<PathBuf>) -> PyResult<Shell> {
        let mut place = Workspace::new(workspace);
        if let Some(at) = at {
            place = place.at(at);
        }
        let shell = py.detach(|| sbx_bash::Shell::open(&policy.0, place)).map_err(Raised::raised)?;
        Ok(Shell(Open::new(shell)))
    }

    /// Runs a bash script in the workspace. An action's failure is in the result; an exception is ours, or that of a signal's
    /// handler, such as KeyboardInterrupt, which ends the action.
    #[pyo3(signature = (script, timeout=None, env=None, cwd=None, stdin=None, merge=false))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn run(
        &self,
        py: Python<'_>,
        script: OsString,
        timeout: Option<f64>,
        env: Option<BTreeMap<OsString, OsString>>,
        cwd: Option<PathBuf>,
        stdin: Option<Vec<u8>>,
        merge: bool,
    ) -> PyResult<Observation> {
        let mut action = Action::bash(script);
        if let Some(seconds) = timeout {
            action = action.time(crate::seconds(seconds)?);
        }
        for (key, value) in env.unwrap_or_default() {
            action = action.env(key, value);
        }
        if let Some(dir) = cwd {
            action = action.cwd(dir);
        }
        if let Some(bytes) = stdin {
            action = action.stdin(bytes);
        }
        if merge {
            action = action.merged();
        }
        let seen = interruptible(py, |cancel| {
            let action = action.cancelled_by(cancel);
            self.0.with(|shell| shell.act(&action))
        })?;
        Ok(Observation::of(seen))
    }

    /// Reads a file within the sandbox, as bytes.
    #[pyo3(signature = (path, limit=MAX_FILE))]
    fn read_file(&self, py: Python<'_>, path: PathBuf, limit: usize) -> PyResult<Vec<u8>> {
        py.detach(|| self.0.with(|shell| shell.read_file(path, limit)))
    }

    /// Writes a file within the sandbox, and makes the directories that lead to it.
    fn write_file(&self, py: Python<'_>, path: PathBuf, contents: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.with(|shell| shell.write_file(path, contents)))
    }

    /// Lists a directory within the sandbox: (name, kind), the kind being file, directory, link or other.
    #[pyo3(signature = (path=PathBuf::from("."), limit=MAX_ENTRIES))]
    fn list_dir(
        &self,
        py: Python<'_>,
        path: PathBuf,
        limit: usize,
    ) -> PyResult<Vec<(OsString, &'static str)>> {
        let listing = py.detach(|| self.0.with(|shell| shell.list_dir(&path, limit)))?;
        if listing.is_cut {
            let why = format!("{}: more than {limit} entries", path.display());
            return Err(PyValueError::new_err(why));
        }
        Ok(listing.entries.into_iter().map(|entry| (entry.name, entry.kind.name())).collect())
    }

    /// All that the actions changed, as a git patch.
    fn diff(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.with(|shell| patch(&shell.changes()?)))
    }

    /// Ends the sandbox; nothing of it remains.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyAny>) {
        self.close(py);
    }
}
