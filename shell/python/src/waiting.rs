//! Waiting for an action while Python's signals are heard.

use crate::Raised;
use pyo3::prelude::*;
use sbx_runtime::Cancel;
use std::sync::{Arc, Mutex, PoisonError};

/// Does what waits for an action, which is ended when a handler of Python's raises something (KeyboardInterrupt): that is
/// what is returned then. Python handles signals on its main thread alone, and only when it is asked to.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Cancel) -> PyResult<T> + Send,
) -> PyResult<T> {
    let raised: Arc<Mutex<Option<PyErr>>> = Arc::default();
    let cancel = Cancel::when({
        let raised = Arc::clone(&raised);
        move || {
            let error = Python::attach(|py| py.check_signals()).err();
            let is_raised = error.is_some();
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = error;
            is_raised
        }
    });
    let cancel = cancel.map_err(Raised::raised)?;
    let done = py.detach(|| work(&cancel));
    let raised = raised.lock().unwrap_or_else(PoisonError::into_inner).take();
    raised.map_or(done, Err)
}
