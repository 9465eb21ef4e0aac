//! Which processor a process runs on. The kernel's own choice is made for throughput: it may leave a new process behind its
//! parent for milliseconds, and wakes one on the processor where it slept, though that has halted meanwhile.

use crate::sys::*;

const SETAFFINITY: usize = 203;
const GETAFFINITY: usize = 204;
const GETCPU: usize = 309;
/// Processors that are known, by 64.
const WORDS: usize = 16;

/// Has a process that was just started begin on another processor than this one, if it may and there is one. Afterwards it
/// may run where it could before.
#[allow(dead_code, reason = "only the front starts a process that it does not wait for")]
pub fn elsewhere(pid: i32) {
    if let Some(all) = away(pid) {
        all.set(pid);
    }
}

/// Has a thread that was just started stay on other processors than this one, if it may and there are any.
#[allow(dead_code, reason = "only process 1 has a second thread")]
pub fn stay_elsewhere(thread: i32) {
    away(thread);
}

/// Sends it away; to where it could run before.
fn away(pid: i32) -> Option<Places> {
    let (here, all) = (here()?, Places::of_self()?);
    all.but(here).set(pid).then_some(all)
}

fn here() -> Option<u32> {
    let mut here = 0u32;
    check(syscall!(GETCPU, &raw mut here, 0, 0)).is_ok().then_some(here)
}

/// The processors on which this process may run.
#[derive(Clone)]
struct Places {
    words: [u64; WORDS],
    len: usize,
}

impl Places {
    fn of_self() -> Option<Places> {
        let mut words = [0; WORDS];
        let len = check(syscall!(GETAFFINITY, 0, size_of_val(&words), words.as_mut_ptr())).ok()?;
        Some(Places { words, len })
    }

    fn only(&self, here: u32) -> Places {
        self.filter(|word, bits| if word == here as usize / 64 { bits & (1 << (here % 64)) } else { 0 })
    }

    fn but(&self, here: u32) -> Places {
        self.filter(|word, bits| if word == here as usize / 64 { bits & !(1 << (here % 64)) } else { bits })
    }

    fn filter(&self, choose: impl Fn(usize, u64) -> u64) -> Places {
        let mut chosen = self.clone();
        chosen.words.iter_mut().enumerate().for_each(|(word, bits)| *bits = choose(word, *bits));
        chosen
    }

    /// Has a process run on these alone, if they are any.
    fn set(&self, pid: i32) -> bool {
        self.words.iter().any(|bits| *bits != 0)
            && check(syscall!(SETAFFINITY, pid, self.len, self.words.as_ptr())).is_ok()
    }
}

/// A process that stays at a processor for a while: where it may run otherwise.
#[derive(Clone)]
pub struct Stay(Option<Places>);

#[allow(dead_code, reason = "only a bash does")]
impl Stay {
    pub const fn nowhere() -> Stay {
        Stay(None)
    }

    /// Stays where it runs.
    pub fn begin(&mut self) {
        if self.0.is_none()
            && let (Some(here), Some(all)) = (here(), Places::of_self())
            && all.only(here).set(0)
        {
            self.0 = Some(all);
        }
    }

    /// Runs where it could before.
    pub fn leave(&mut self) {
        if let Some(all) = self.0.take() {
            all.set(0);
        }
    }
}
