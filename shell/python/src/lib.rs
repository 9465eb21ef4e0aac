//! Python bindings: a policy, a shell on a checkout, and what was seen. The sandbox's process 1 is a program of its own, so
//! nothing forks inside Python, and other threads go on while an action runs.
#![forbid(unsafe_code)]

mod session;
mod shell;
mod waiting;

use pyo3::exceptions::{
    PyFileNotFoundError, PyIsADirectoryError, PyOSError, PyPermissionError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;
use sbx_runtime::{Error, FileError, Outcome};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Largest file that is read where no limit is given, in bytes.
const MAX_FILE: usize = 64 << 20;

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
    /// exited, signaled, timed_out, refused, out_of_memory, output_limit, cancelled.
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

impl Observation {
    pub(crate) fn of(seen: sbx_runtime::Observation) -> Observation {
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
    Duration::try_from_secs_f64(seconds)
        .ok()
        .ok_or_else(|| PyValueError::new_err(format!("timeout: expected seconds, found {seconds}")))
}

/// Changes that cannot be read are an error, and no empty patch.
fn patch(changes: &sbx_runtime::Changes) -> Result<String, sbx_runtime::Error> {
    let patch = changes.try_diff_text();
    patch.map_err(|reason| sbx_runtime::Error::System { what: "the patch".into(), reason })
}

/// A sandbox until it is closed.
pub(crate) struct Open<T>(Mutex<Option<T>>);

impl<T> Open<T> {
    fn new(sandbox: T) -> Open<T> {
        Open(Mutex::new(Some(sandbox)))
    }

    fn with<R, E: Raised>(&self, work: impl FnOnce(&mut T) -> Result<R, E>) -> PyResult<R> {
        let mut sandbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || PyRuntimeError::new_err("the shell is closed");
        work(sandbox.as_mut().ok_or_else(closed)?).map_err(Raised::raised)
    }

    fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// What Python raises for an error.
pub(crate) trait Raised {
    fn raised(self) -> PyErr;
}

impl Raised for Error {
    fn raised(self) -> PyErr {
        PyRuntimeError::new_err(self.to_string())
    }
}

impl Raised for FileError {
    /// As Python's own exceptions say it.
    fn raised(self) -> PyErr {
        let said = self.to_string();
        match self {
            FileError::NotFound(_) => PyFileNotFoundError::new_err(said),
            FileError::IsDirectory(_) => PyIsADirectoryError::new_err(said),
            FileError::Denied(_) => PyPermissionError::new_err(said),
            FileError::TooLarge { .. } => PyValueError::new_err(said),
            FileError::Sandbox(_) => PyRuntimeError::new_err(said),
            _ => PyOSError::new_err(said),
        }
    }
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
    use super::shell::Shell;
    #[pymodule_export]
    use super::{Observation, Policy};
}
