//! A pipe in memory: bounded, with the end of file and `EPIPE` that a shell expects.

use crate::engine::budget::{Budget, SLICE};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that a pipe holds; as on Linux, but for larger writers: 64 KiB would be one guest's buffer.
const CAPACITY: usize = 256 << 10;

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    readable: Condvar,
    writable: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    no_writer: bool,
    no_reader: bool,
    waiting_readers: u32,
    waiting_writers: u32,
}

/// The end that reads. When it is dropped, writers get `EPIPE`.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Shared>);

/// The end that writes. When it is dropped, the reader comes to the end.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Shared>);

pub(crate) fn pipe() -> (Reader, Writer) {
    let shared = Arc::new(Shared::default());
    (Reader(shared.clone()), Writer(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Waits for bytes and takes them; 0 at the end. `EINTR` when the action was stopped meanwhile.
    pub(crate) fn read(&self, into: &mut [u8], budget: &Budget) -> Result<usize, Errno> {
        if into.is_empty() {
            return Ok(0);
        }
        let mut state = self.0.lock();
        while state.bytes.is_empty() {
            if state.no_writer {
                return Ok(0);
            }
            budget.check().map_err(|_| Errno::INTR)?;
            state.waiting_readers += 1;
            state = self.0.readable.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting_readers -= 1;
        }
        let n = into.len().min(state.bytes.len());
        let (a, b) = state.bytes.as_slices();
        let first = n.min(a.len());
        into[..first].copy_from_slice(&a[..first]);
        into[first..n].copy_from_slice(&b[..n - first]);
        state.bytes.drain(..n);
        if state.waiting_writers > 0 {
            self.0.writable.notify_all();
        }
        Ok(n)
    }

    /// Whether a read would not wait.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.0.lock();
        state.no_writer || !state.bytes.is_empty()
    }
}

impl Writer {
    /// Writes all, waiting for room. `EPIPE` when nobody will read it; `EINTR` when the action was stopped meanwhile.
    pub(crate) fn write(&self, mut from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        let all = from.len();
        let mut state = self.0.lock();
        loop {
            if state.no_reader {
                return Err(Errno::PIPE);
            }
            let n = from.len().min(CAPACITY - state.bytes.len());
            state.bytes.extend(&from[..n]);
            from = &from[n..];
            if n > 0 && state.waiting_readers > 0 {
                self.0.readable.notify_all();
            }
            if from.is_empty() {
                return Ok(all);
            }
            budget.check().map_err(|_| Errno::INTR)?;
            state.waiting_writers += 1;
            state = self.0.writable.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting_writers -= 1;
        }
    }

    /// Whether a write would not wait.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.0.lock();
        state.no_reader || state.bytes.len() < CAPACITY
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.no_reader = true;
        state.bytes = VecDeque::new();
        self.0.writable.notify_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().no_writer = true;
        self.0.readable.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use std::time::Duration;

    fn budget() -> Budget {
        Budget::new(Duration::from_secs(600), 0, 1)
    }

    #[test]
    fn all_bytes_arrive_in_order_then_the_end() {
        let (reader, writer) = pipe();
        let bytes: Vec<u8> = (0..3 * CAPACITY + 17).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let writing = std::thread::spawn(move || {
            for chunk in sent.chunks(4099) {
                assert_eq!(writer.write(chunk, &budget()), Ok(chunk.len()));
            }
        });
        let (mut got, mut buffer) = (Vec::new(), [0; 5003]);
        loop {
            match reader.read(&mut buffer, &budget()).unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
        writing.join().unwrap();
        assert!(got == bytes);
    }

    #[test]
    fn a_write_without_a_reader_is_a_broken_pipe() {
        let (reader, writer) = pipe();
        let waiting = std::thread::spawn(move || writer.write(&vec![0; CAPACITY + 1], &budget()));
        drop(reader);
        assert_eq!(waiting.join().unwrap(), Err(Errno::PIPE));
    }

    #[test]
    fn whoever_waits_ends_with_the_action() {
        let (reader, _writer) = pipe();
        let budget = budget();
        let of_reader = budget.clone();
        let waiting = std::thread::spawn(move || reader.read(&mut [0], &of_reader));
        budget.stop(Stop::Cancelled);
        assert_eq!(waiting.join().unwrap(), Err(Errno::INTR));
    }
}
