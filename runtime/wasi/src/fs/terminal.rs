//! A terminal without a screen: what is typed is read line by line, and what is printed is kept for whoever looks.

use super::capture::Capture;
use super::handle::Handle;
use crate::engine::budget::{Budget, SLICE};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Longest line that is typed, in bytes, as on Linux; what is beyond is dropped.
const LONGEST: usize = 4095;
/// Most lines that wait to be read.
const WAITING: usize = 4096;
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const QUIT: u8 = 0x1c;
const ERASE: [u8; 2] = [0x08, 0x7f];
const KILL: u8 = 0x15;

/// A terminal. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Terminal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    typed: Mutex<Typed>,
    readable: Condvar,
    printed: Capture,
}

#[derive(Debug, Default)]
struct Typed {
    line: Vec<u8>,
    /// Lines to be read; an empty one is an end of file.
    lines: VecDeque<Vec<u8>>,
}

impl Terminal {
    pub(crate) fn new() -> Terminal {
        let printed = Capture::drained();
        Terminal(Arc::new(Inner { typed: Mutex::default(), readable: Condvar::new(), printed }))
    }

    /// A descriptor of it.
    pub(crate) fn handle(&self) -> Handle {
        Handle::terminal(self.clone())
    }

    /// Types; whether a key for an interrupt was among it.
    pub(crate) fn type_in(&self, bytes: &[u8]) -> bool {
        let mut typed = self.0.typed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut interrupts = false;
        for byte in bytes {
            match *byte {
                INTERRUPT | QUIT => {
                    interrupts = true;
                    *typed = Typed::default();
                }
                END => typed.end_line(),
                byte if ERASE.contains(&byte) => drop(typed.line.pop()),
                KILL => typed.line.clear(),
                b'\n' | b'\r' => {
                    typed.line.push(b'\n');
                    typed.end_line();
                }
                byte if typed.line.len() < LONGEST => typed.line.push(byte),
                _ => {}
            }
        }
        drop(typed);
        self.0.readable.notify_all();
        interrupts
    }

    /// Takes what was printed since the last time.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.printed.take()
    }

    pub(super) fn read(&self, into: &mut [u8], budget: &Budget) -> Result<usize, Errno> {
        let mut typed = self.0.typed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = typed.lines.front_mut() {
                let n = into.len().min(line.len());
                into[..n].copy_from_slice(&line[..n]);
                line.drain(..n);
                if line.is_empty() {
                    typed.lines.pop_front();
                }
                return Ok(n);
            }
            budget.check().map_err(|_| Errno::INTR)?;
            typed = self.0.readable.wait_timeout(typed, SLICE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn write(&self, from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        self.0.printed.write(from, budget)
    }

    pub(super) fn is_readable(&self) -> bool {
        !self.0.typed.lock().unwrap_or_else(PoisonError::into_inner).lines.is_empty()
    }
}

impl Typed {
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if self.lines.len() < WAITING {
            self.lines.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_is_read_when_it_is_whole_and_can_be_mended_until_then() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let terminal = Terminal::new();
        let handle = terminal.handle();
        let read = || {
            let mut buffer = [0; 16];
            let n = handle.read(&mut buffer, &budget).unwrap();
            buffer[..n].to_vec()
        };
        assert!(!terminal.type_in(b"gone\x15onn\x7f"));
        assert!(!handle.is_ready(false));
        terminal.type_in(b"e\rtwo\n\x04part\x04");
        assert_eq!(read(), b"one\n".to_vec());
        assert_eq!([read(), read(), read()], [&b"two\n"[..], b"", b"part"]);
        assert!(terminal.type_in(b"x\ny\x03z\n"));
        assert_eq!(read(), b"z\n");
        handle.write(b"seen", &budget).unwrap();
        assert_eq!((terminal.take(), handle.is_tty()), (b"seen".to_vec(), true));
    }
}
