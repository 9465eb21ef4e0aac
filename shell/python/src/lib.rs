//! Python bindings: a policy, a shell on a checkout, and what was seen. The sandbox's process 1 is a program of its own, so
//! nothing forks inside Python, and other threads go on while an action runs.
#![forbid(unsafe_code)]

mod session;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sbx_runtime::{Action, Outcome, Workspace};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What an action may do.
#[pyclass(frozen, from_py_object)]
#[derive(Clone)]
pub(crate) struct Policy(sbx_runtime::Policy);

#[pymethods]
impl Policy {
    /// Returns a preset: base, swe-zero, whitelist, readonly, python, build, rust, node.
    #[staticmethod]
    fn preset(name: &str) -> PyResult<Policy> {
        sbx_runtime::Policy::preset(name).map(Policy).map_err(|e| PyValueError::new_err(e.to_string()))
    }

    /// Reads a policy file.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Policy> {
        sbx_runtime::Policy::load(&path).map(Policy).map_err(|e| PyValueError::new_err(e.to_string()))
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Hash of all that it says.
    #[getter]
    fn sha256(&self) -> String {
        self.0.sha256()
    }

    /// Names of the programs that exist in the sandbox.
    #[getter]
    fn commands(&self) -> Vec<String> {
        self.0.commands.clone()
    }
}

/// All that is known after an action.
#[pyclass(frozen, get_all)]
pub(crate) struct Observation {
    /// exited, signaled, timed_out, refused, out_of_memory, output_limit.
    outcome: String,
    /// 0–255; 128 + n for signal n, 124 timed out, 126 refused or not executable, 127 not found.
    exit_code: i32,
    stdout: String,
    stderr: String,
    /// Bytes of stdout and stderr that were not kept.
    truncated: (u64, u64),
    timed_out: bool,
    wall_s: f64,
    limits_hit: Vec<String>,
    /// What was refused: (what, rule, hint).
    denied: Vec<(String, String, String)>,
    enforced: Vec<String>,
    missing: Vec<String>,
}

#[pymethods]
impl Observation {
    fn __repr__(&self) -> String {
        format!(
            "Observation(outcome={:?}, exit_code={}, stdout={:?})",
            self.outcome, self.exit_code, self.stdout
        )
    }
}

/// A sandbox around one checkout, which itself is never written. Use it as a context manager.
#[pyclass(frozen)]
struct Shell(Mutex<Option<sbx_bash::Shell>>);

#[pymethods]
impl Shell {
    #[new]
    #[pyo3(signature = (policy, workspace, at=None))]
    fn new(py: Python<'_>, policy: Policy, workspace: PathBuf, at: Option<PathBuf>) -> PyResult<Shell> {
        let mut place = Workspace::new(workspace);
        if let Some(at) = at {
            place = place.at(at);
        }
        let shell = py.detach(|| sbx_bash::Shell::open(&policy.0, place)).map_err(failed)?;
        Ok(Shell(Mutex::new(Some(shell))))
    }

    /// Runs a bash script in the workspace. An action's failure is in the result; an exception is ours.
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
            action = action.time(self::seconds(seconds)?);
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
        let seen = py.detach(|| self.with(|shell| shell.act(&action)))?;
        Ok(Observation::of(seen))
    }

    /// All that the actions changed, as a git patch.
    fn diff(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.with(|shell| patch(&shell.changes()?)))
    }

    /// Ends the sandbox; nothing of it remains.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyAny>) {
        self.close(py);
    }
}

impl Shell {
    fn with<T>(
        &self,
        work: impl FnOnce(&mut sbx_bash::Shell) -> Result<T, sbx_runtime::Error>,
    ) -> PyResult<T> {
        let mut shell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(shell.as_mut().ok_or_else(closed)?).map_err(failed)
    }
}

impl Observation {
    fn of(seen: sbx_runtime::Observation) -> Observation {
        Observation {
            outcome: outcome(seen.outcome).into(),
            exit_code: seen.exit_code,
            stdout: seen.stdout.text(),
            stderr: seen.stderr.text(),
            truncated: (seen.stdout.omitted(), seen.stderr.omitted()),
            timed_out: seen.outcome == Outcome::TimedOut,
            wall_s: seen.wall.as_secs_f64(),
            limits_hit: seen.limits_hit,
            denied: seen.denied.into_iter().map(|d| (d.what, d.rule, d.hint)).collect(),
            enforced: seen.enforced,
            missing: seen.missing,
        }
    }
}

/// A time that Python gave in seconds.
fn seconds(seconds: f64) -> PyResult<Duration> {
    session::time(seconds)
        .ok_or_else(|| PyValueError::new_err(format!("timeout: expected seconds, found {seconds}")))
}

/// Changes that cannot be read are an error, and no empty patch.
fn patch(changes: &sbx_runtime::Changes) -> Result<String, sbx_runtime::Error> {
    let patch = changes.try_diff_text();
    patch.map_err(|reason| sbx_runtime::Error::System { what: "the patch".into(), reason })
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("the shell is closed")
}

fn failed(e: sbx_runtime::Error) -> PyErr {
    PyRuntimeError::new_err(e.to_string())
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Exited => "exited",
        Outcome::Signaled => "signaled",
        Outcome::TimedOut => "timed_out",
        Outcome::Refused => "refused",
        Outcome::OutOfMemory => "out_of_memory",
        Outcome::OutputLimit => "output_limit",
        Outcome::Cancelled => "cancelled",
        _ => "other",
    }
}

/// The extension module.
#[pymodule]
mod _sbx {
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::{Observation, Policy, Shell};
}
