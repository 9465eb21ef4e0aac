//! Waiting for an action while Python's signals are heard.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sbx_runtime::Cancel;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often Python is asked whether a signal has come.
const TICK: Duration = Duration::from_millis(50);

/// Does what waits for an action. Python handles signals on its main thread alone, and only when it is asked to: there the
/// action is waited for on another thread, and ended when a handler raises something, which is what is returned then.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    work: impl FnOnce() -> PyResult<T> + Send,
) -> PyResult<T> {
    if !is_main(py)? {
        return py.detach(work);
    }
    py.detach(|| {
        std::thread::scope(|scope| {
            let (done, is_done) = channel::<()>();
            let worker = scope.spawn(move || {
                let _done = done;
                work()
            });
            let mut raised = None;
            while is_done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if raised.is_none() {
                    raised = Python::attach(|py| py.check_signals()).err();
                    raised.iter().for_each(|_| cancel.cancel());
                }
            }
            let result =
                worker.join().unwrap_or_else(|_| Err(PyRuntimeError::new_err("the action panicked")));
            raised.map_or(result, Err)
        })
    })
}

/// Whether this is the thread on which Python handles signals.
fn is_main(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let [main, current] = ["main_thread", "current_thread"].map(|name| threading.call_method0(name));
    Ok(main?.is(&current?))
}
