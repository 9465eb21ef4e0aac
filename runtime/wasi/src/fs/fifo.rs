//! A pipe with a name. Opening it waits for nobody: the first read waits for a writer, the first write for a reader.

use crate::engine::budget::{Budget, SLICE};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that it holds, as on Linux.
const CAPACITY: usize = 64 << 10;

/// A named pipe.
#[derive(Clone, Debug, Default)]
pub(super) struct Fifo(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    readers: Count,
    writers: Count,
}

/// Ends of one kind: those that are open, and all that ever were.
#[derive(Debug, Default)]
struct Count {
    open: u64,
    ever: u64,
}

/// An open end. When it is dropped, whoever waits for it is told.
#[derive(Debug)]
pub(super) struct End {
    shared: Arc<Shared>,
    pub reads: bool,
    pub writes: bool,
    /// Ends of the other kind that had gone before this was opened.
    gone: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        budget: &Budget,
    ) -> Result<MutexGuard<'a, State>, Errno> {
        budget.check().map_err(|_| Errno::INTR)?;
        Ok(self.changed.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Fifo {
    pub(super) fn open(&self, reads: bool, writes: bool) -> End {
        let mut state = self.0.lock();
        let other = if reads { &state.writers } else { &state.readers };
        let gone = other.ever - other.open;
        for (count, is_one) in [(true, reads), (false, writes)] {
            let count = if count { &mut state.readers } else { &mut state.writers };
            count.open += u64::from(is_one);
            count.ever += u64::from(is_one);
        }
        self.0.changed.notify_all();
        End { shared: self.0.clone(), reads, writes, gone }
    }
}

impl End {
    /// Waits for bytes and takes them; 0 when a writer was there and none is any more.
    pub(super) fn read(&self, into: &mut [u8], budget: &Budget) -> Result<usize, Errno> {
        let mut state = self.shared.lock();
        while state.bytes.is_empty() && !into.is_empty() {
            if state.writers.open == 0 && state.writers.ever > self.gone {
                return Ok(0);
            }
            state = self.shared.wait(state, budget)?;
        }
        let n = into.len().min(state.bytes.len());
        for (to, from) in into.iter_mut().zip(state.bytes.drain(..n)) {
            *to = from;
        }
        self.shared.changed.notify_all();
        Ok(n)
    }

    /// Writes all, waiting for a reader and for room. `EPIPE` when a reader was there and none is any more.
    pub(super) fn write(&self, mut from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        let all = from.len();
        let mut state = self.shared.lock();
        while !from.is_empty() {
            if state.readers.open > 0 {
                let n = from.len().min(CAPACITY - state.bytes.len());
                state.bytes.extend(&from[..n]);
                from = &from[n..];
                self.shared.changed.notify_all();
                if from.is_empty() {
                    break;
                }
            } else if state.readers.ever > self.gone {
                return Err(Errno::PIPE);
            }
            state = self.shared.wait(state, budget)?;
        }
        Ok(all)
    }

    /// Whether a read or a write would not wait.
    pub(super) fn is_ready(&self, to_write: bool) -> bool {
        let state = self.shared.lock();
        if to_write {
            return state.readers.ever > self.gone && state.bytes.len() < CAPACITY;
        }
        !state.bytes.is_empty() || state.writers.open == 0 && state.writers.ever > self.gone
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.readers.open -= u64::from(self.reads);
        state.writers.open -= u64::from(self.writes);
        if state.readers.open == 0 {
            state.bytes.clear();
        }
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_reader_waits_for_a_writer_and_comes_to_the_end_with_it() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let fifo = Fifo::default();
        let (own, other) = (budget.clone(), fifo.clone());
        let reading = std::thread::spawn(move || {
            let (end, mut buffer, mut got) = (other.open(true, false), [0; 4], Vec::new());
            loop {
                match end.read(&mut buffer, &own).unwrap() {
                    0 => return got,
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
        });
        let end = fifo.open(false, true);
        assert_eq!(end.write(b"through", &budget), Ok(7));
        drop(end);
        assert_eq!(reading.join().unwrap(), b"through");
        let (reader, writer) = (fifo.open(true, false), fifo.open(false, true));
        drop(reader);
        assert_eq!(writer.write(b"x", &budget), Err(Errno::PIPE));
    }

    #[test]
    fn whoever_waits_alone_ends_with_the_action() {
        let budget = Budget::new(Duration::ZERO, 0, 1);
        let fifo = Fifo::default();
        assert_eq!(fifo.open(true, false).read(&mut [0], &budget), Err(Errno::INTR));
        assert_eq!(fifo.open(false, true).write(b"x", &budget), Err(Errno::INTR));
    }
}
