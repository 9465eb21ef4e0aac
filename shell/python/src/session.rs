//! A persistent bash for Python.

use crate::{MAX_FILE, Observation, Open, Policy, Raised, seconds};
use pyo3::prelude::*;
use sbx_bash::LiveShell;
use sbx_runtime::{Error, Waited, Workspace};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A bash that stays, on a terminal of its own, in a sandbox around an overlay of a directory.
#[pyclass(frozen)]
pub(crate) struct Session(Open<LiveShell>);

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (policy, workspace, at=None, env=None))]
    fn new(
        py: Python<'_>,
        policy: Policy,
        workspace: PathBuf,
        at: Option<PathBuf>,
        env: Option<BTreeMap<String, String>>,
    ) -> PyResult<Session> {
        let mut place = Workspace::new(workspace);
        if let Some(at) = at {
            place = place.at(at);
        }
        let env = env.unwrap_or_default();
        let shell = py.detach(|| {
            let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            LiveShell::open(&policy.0, place, &env)
        });
        Ok(Session(Open::new(shell.map_err(Raised::raised)?)))
    }

    /// Runs a script to its end. Variables, directory and background jobs stay, also after a time-out.
    #[pyo3(signature = (script, timeout=None))]
    fn run(&self, py: Python<'_>, script: OsString, timeout: Option<f64>) -> PyResult<Observation> {
        let time = timeout.map_or(Ok(Duration::MAX), seconds)?;
        let text = script.to_string_lossy();
        let seen = py.detach(|| {
            self.0.with(|shell| match shell.refuse(&text) {
                Some(refused) => Ok::<_, Error>(refused),
                None => {
                    let seen = shell.session().run_for(&script, time)?;
                    Ok(shell.explain(&text, seen))
                }
            })
        })?;
        Ok(Observation::of(seen))
    }

    /// Starts a script and does not wait for it.
    fn start(&self, py: Python<'_>, script: OsString) -> PyResult<()> {
        py.detach(|| self.0.with(|shell| shell.session().start(script)))
    }

    /// Waits for the script that runs; None while it does. With `quiet` no longer than it writes nothing for so many seconds.
    #[pyo3(signature = (timeout, quiet=None))]
    fn wait(&self, py: Python<'_>, timeout: f64, quiet: Option<f64>) -> PyResult<Option<Observation>> {
        let (time, quiet) = (seconds(timeout)?, quiet.map(seconds).transpose()?);
        let waited = py.detach(|| self.0.with(|shell| shell.session().wait(time, quiet)))?;
        Ok(match waited {
            Waited::Ended(seen) => Some(Observation::of(*seen)),
            Waited::Running => None,
        })
    }

    /// Takes what the script that runs has written so far.
    fn take_output(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.with(|shell| Ok::<_, Error>(shell.session().take_so_far().text())))
    }

    /// Types something for what runs to read; a line ends with `\n`.
    fn send(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        py.detach(|| self.0.with(|shell| shell.session().send(text)))
    }

    /// Ctrl-C for what runs.
    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.with(|shell| shell.session().interrupt()))
    }

    /// Reads a file within the sandbox, as bytes.
    #[pyo3(signature = (path, limit=MAX_FILE))]
    fn read_file(&self, py: Python<'_>, path: PathBuf, limit: usize) -> PyResult<Vec<u8>> {
        py.detach(|| self.0.with(|shell| shell.session().read_file(path, limit)))
    }

    /// Writes a file within the sandbox, and the directories that lead to it.
    fn write_file(&self, py: Python<'_>, path: PathBuf, contents: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.with(|shell| shell.session().write_file(path, &contents)))
    }

    /// Bash's directory after the last script.
    #[getter]
    fn cwd(&self, py: Python<'_>) -> PyResult<OsString> {
        py.detach(|| self.0.with(|shell| Ok::<_, Error>(shell.session().cwd())))
    }

    /// How often bash was started anew: after `exit`, or when a script could not be interrupted.
    #[getter]
    fn restarts(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.0.with(|shell| Ok::<_, Error>(shell.session().restarts())))
    }

    /// All that the scripts changed, as a git patch.
    fn diff(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.with(|shell| crate::patch(&shell.changes()?)))
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
