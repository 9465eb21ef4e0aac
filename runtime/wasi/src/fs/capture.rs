//! Where output goes: a buffer that somebody else empties.

use super::handle::Handle;
use crate::engine::budget::{Budget, SLICE};
use rustix::io::Errno;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that wait to be taken by whoever drains, before writers wait too.
const WAITING: usize = 1 << 20;
/// Bytes that are taken from a budget at a time.
const CHUNK: u64 = 64 << 10;

/// Bytes that were written to a [`Handle`], for the caller to take.
///
/// ```
/// use sbx_wasi::{Budget, Capture};
/// let budget = Budget::new(std::time::Duration::from_secs(1), 0, 1);
/// let capture = Capture::new(3);
/// capture.handle().write(b"abcd", &budget)?;
/// assert_eq!((capture.take(), capture.omitted()), (b"abc".to_vec(), 1));
/// # Ok::<(), rustix::io::Errno>(())
/// ```
#[derive(Clone, Debug)]
pub struct Capture(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    keeps: Keeps,
    state: Mutex<State>,
    drained: Condvar,
}

/// How much is kept.
#[derive(Debug)]
enum Keeps {
    /// So many bytes; what comes after is counted.
    Some(usize),
    /// All: whoever drains keeps pace.
    All,
    /// What fits into the memory of this budget.
    Within(Budget),
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    omitted: u64,
    /// Bytes that were taken from the budget.
    taken: u64,
}

impl Capture {
    /// Keeps at most `limit` bytes; what comes after is counted only.
    pub fn new(limit: usize) -> Capture {
        Capture::with(Keeps::Some(limit))
    }

    /// Keeps all, and lets writers wait while a mebibyte is not yet taken.
    pub(crate) fn drained() -> Capture {
        Capture::with(Keeps::All)
    }

    /// Keeps what the budget has memory for; who writes more is told that nobody reads.
    pub(crate) fn within(budget: &Budget) -> Capture {
        Capture::with(Keeps::Within(budget.clone()))
    }

    fn with(keeps: Keeps) -> Capture {
        Capture(Arc::new(Inner { keeps, state: Mutex::default(), drained: Condvar::new() }))
    }

    /// A handle that writes into it.
    pub fn handle(&self) -> Handle {
        Handle::capture(self.0.clone())
    }

    pub(super) fn write(&self, from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        self.0.write(from, budget)
    }

    /// Takes what was written since the last time.
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = std::mem::take(&mut state.bytes);
        if matches!(self.0.keeps, Keeps::All) && bytes.len() >= WAITING {
            self.0.drained.notify_all();
        }
        bytes
    }

    /// Bytes that were not kept.
    pub fn omitted(&self) -> u64 {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).omitted
    }
}

impl Inner {
    pub(super) fn write(&self, from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.keeps {
            Keeps::Some(limit) => {
                let kept = from.len().min(limit.saturating_sub(state.bytes.len()));
                state.bytes.extend_from_slice(&from[..kept]);
                state.omitted += (from.len() - kept) as u64;
                return Ok(from.len());
            }
            Keeps::Within(memory) => {
                let size = (state.bytes.len() + from.len()) as u64;
                let more = size.saturating_sub(state.taken).div_ceil(CHUNK) * CHUNK;
                if more > 0 && !memory.take(more) {
                    state.omitted += from.len() as u64;
                    return Err(Errno::PIPE);
                }
                state.taken += more;
            }
            Keeps::All => {
                while state.bytes.len() >= WAITING {
                    budget.check().map_err(|_| Errno::INTR)?;
                    state = self.drained.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        state.bytes.extend_from_slice(from);
        Ok(from.len())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Keeps::Within(memory) = &self.keeps {
            memory.give(self.state.get_mut().unwrap_or_else(PoisonError::into_inner).taken);
        }
    }
}
