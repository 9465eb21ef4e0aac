//! Background jobs, and waiting for them.

use crate::engine::budget::{Budget, Stop};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait before a waiter looks whether its own shell was ended.
const SLICE: Duration = Duration::from_millis(10);

/// Where a job's status will be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiter(Arc<(Mutex<Option<i32>>, Condvar)>);

impl Waiter {
    /// The job ended.
    pub(crate) fn finish(&self, status: i32) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        self.0.1.notify_all();
    }

    /// The status, if the job ended.
    pub(crate) fn status(&self) -> Option<i32> {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end; `None` when whoever waits is to end, or the time is over.
    pub(crate) fn wait(&self, budget: &Budget, signal: &AtomicI32, until: Option<Instant>) -> Option<i32> {
        let mut guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if guard.is_some() {
                return *guard;
            }
            if budget.check().is_err() || signal.load(Ordering::Relaxed) != 0 {
                return None;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return None;
            }
            guard = self.0.1.wait_timeout(guard, SLICE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of what is being ended itself: it looks at no deadline, for the other does.
    pub(crate) fn wait_out(&self) -> i32 {
        let mut guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(status) = *guard {
                return status;
            }
            guard = self.0.1.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells whoever waits that a job ended, even when it panicked.
pub(crate) struct Finish(pub Waiter);

impl Drop for Finish {
    fn drop(&mut self) {
        if self.0.status().is_none() {
            self.0.finish(134);
        }
    }
}

/// A background job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub number: usize,
    pub pid: i32,
    pub text: Vec<u8>,
    pub waiter: Waiter,
    /// What ends it.
    pub signal: Arc<AtomicI32>,
    pub budget: Budget,
    pub disowned: bool,
}

impl Job {
    /// Sends a signal.
    pub(crate) fn kill(&self, signal: i32) {
        self.signal.store(signal, Ordering::Relaxed);
        self.budget.stop(Stop::Cancelled);
    }
}

/// The jobs of a shell; then those of the shell that it is a subshell of, which `jobs` shows too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs(pub Vec<Job>, pub Vec<Job>);

impl Jobs {
    /// The number of the next job.
    pub(crate) fn next_number(&self) -> usize {
        self.0.iter().map(|j| j.number).max().unwrap_or(0) + 1
    }

    /// The job that `%1`, `%%` or a process's number names.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Job> {
        match name {
            b"%%" | b"%+" | b"%" => self.0.last(),
            b"%-" => self.0.iter().rev().nth(1).or(self.0.last()),
            [b'%', rest @ ..] => {
                let text = std::str::from_utf8(rest).ok()?;
                match text.parse::<usize>() {
                    Ok(number) => self.0.iter().find(|j| j.number == number),
                    Err(_) => self.0.iter().rev().find(|j| j.text.starts_with(rest)),
                }
            }
            _ => {
                let pid: i32 = std::str::from_utf8(name).ok()?.parse().ok()?;
                self.0.iter().rev().find(|j| j.pid == pid)
            }
        }
    }
}
