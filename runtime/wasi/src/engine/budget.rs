//! What an action may still use: time, memory of all its guests together, and jobs. Everything that waits, loops or
//! allocates on its behalf asks here.

use rustix::io::Errno;
use sbx_runtime::LONGEST;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for which anything waits without looking at its budget.
pub(crate) const SLICE: Duration = Duration::from_millis(20);

/// An action's budget. Clones share it.
///
/// ```
/// use sbx_wasi::{Budget, Stop};
/// use std::time::Duration;
/// let budget = Budget::new(Duration::from_secs(60), 1 << 30, 64);
/// assert_eq!(budget.check(), Ok(()));
/// budget.stop(Stop::Cancelled);
/// assert_eq!(budget.check(), Err(Stop::Cancelled));
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    all: Arc<Inner>,
    span: Option<Arc<Span>>,
}

/// Why an action is ended before its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The wall time is over.
    Time,
    /// Whoever started it wants it no more.
    Cancelled,
    /// It wrote more output than anybody would read.
    Output,
    /// Ctrl-C.
    Interrupted,
}

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    stop: AtomicU8,
    memory: u64,
    used: AtomicU64,
    peak: AtomicU64,
    memory_fired: AtomicBool,
    processes: u32,
    jobs: AtomicU32,
    processes_fired: AtomicBool,
    cpu: AtomicU64,
    sleepers: (Mutex<()>, Condvar),
}

/// A part of an action that can end before it: a job in the background, or what has a time limit of its own.
#[derive(Debug)]
struct Span {
    deadline: Option<Instant>,
    stop: AtomicU8,
    around: Option<Arc<Span>>,
}

impl Stop {
    fn code(self) -> u8 {
        match self {
            Stop::Time => 1,
            Stop::Cancelled => 2,
            Stop::Output => 3,
            Stop::Interrupted => 4,
        }
    }

    fn of(code: u8) -> Option<Stop> {
        match code {
            0 => None,
            1 => Some(Stop::Time),
            2 => Some(Stop::Cancelled),
            3 => Some(Stop::Output),
            _ => Some(Stop::Interrupted),
        }
    }
}

impl Budget {
    /// A budget that ends `time` from now, for `memory` bytes and `processes` jobs at a time.
    pub fn new(time: Duration, memory: u64, processes: u32) -> Budget {
        let all = Arc::new(Inner {
            deadline: Instant::now() + time.min(LONGEST),
            stop: AtomicU8::new(0),
            memory,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            memory_fired: AtomicBool::new(false),
            processes: processes.max(1),
            jobs: AtomicU32::new(0),
            processes_fired: AtomicBool::new(false),
            cpu: AtomicU64::new(0),
            sleepers: (Mutex::new(()), Condvar::new()),
        });
        Budget { all, span: None }
    }

    /// The budget of a part: it can be stopped alone, or ends `time` from now; all else it shares.
    pub fn child(&self, time: Option<Duration>) -> Budget {
        let deadline = time.map(|time| Instant::now() + time.min(LONGEST));
        let span = Span { deadline, stop: AtomicU8::new(0), around: self.span.clone() };
        Budget { all: self.all.clone(), span: Some(Arc::new(span)) }
    }

    /// Whether the action may go on.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self) -> Result<(), Stop> {
        if let Some(stop) = self.stopped() {
            return Err(stop);
        }
        let now = Instant::now();
        if now >= self.all.deadline {
            let _ = self.all.stop.compare_exchange(0, Stop::Time.code(), SeqCst, SeqCst);
            return Err(self.stopped().unwrap_or(Stop::Time));
        }
        for span in self.spans() {
            if span.deadline.is_some_and(|deadline| now >= deadline) {
                let _ = span.stop.compare_exchange(0, Stop::Time.code(), SeqCst, SeqCst);
                return Err(self.stopped().unwrap_or(Stop::Time));
            }
        }
        Ok(())
    }

    /// The parts that this one is in, innermost first.
    fn spans(&self) -> impl Iterator<Item = &Span> {
        std::iter::successors(self.span.as_deref(), |span| span.around.as_deref())
    }

    /// Why the action was stopped, if it was. Cheaper than [`Budget::check`]: it does not look at the clock.
    pub fn stopped(&self) -> Option<Stop> {
        let whole = Stop::of(self.all.stop.load(Relaxed));
        whole.or_else(|| self.spans().find_map(|span| Stop::of(span.stop.load(Relaxed))))
    }

    /// Ends the action, or the part that this is the budget of; too much output ends the action. The first reason stays.
    pub fn stop(&self, why: Stop) {
        let stop = match &self.span {
            Some(span) if why != Stop::Output => &span.stop,
            _ => &self.all.stop,
        };
        let _ = stop.compare_exchange(0, why.code(), SeqCst, SeqCst);
        drop(self.all.sleepers.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.all.sleepers.1.notify_all();
    }

    /// When the wall time is over.
    pub fn deadline(&self) -> Instant {
        self.spans().filter_map(|span| span.deadline).fold(self.all.deadline, Instant::min)
    }

    /// Waits, at most until the action is stopped.
    ///
    /// # Errors
    /// Why the action was stopped meanwhile.
    pub fn sleep(&self, time: Duration) -> Result<(), Stop> {
        let end = Instant::now().checked_add(time).map_or(self.deadline(), |end| end.min(self.deadline()));
        let mut guard = self.all.sleepers.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.check();
            }
            guard = self.all.sleepers.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes memory, in bytes; false when so much is not left. What was taken is to be [given back](Budget::give).
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        let taken = self.all.used.fetch_update(SeqCst, Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.all.memory)
        });
        match taken {
            Ok(before) => {
                self.all.peak.fetch_max(before + bytes, Relaxed);
                true
            }
            Err(_) => {
                self.lacks_memory();
                false
            }
        }
    }

    /// Tells that something did not fit, whatever is left.
    pub(crate) fn lacks_memory(&self) {
        self.all.memory_fired.store(true, Relaxed);
    }

    /// Gives memory back, in bytes.
    pub fn give(&self, bytes: u64) {
        self.all.used.fetch_sub(bytes, SeqCst);
    }

    /// Most memory that was taken at one time, in bytes.
    pub fn peak(&self) -> u64 {
        self.all.peak.load(Relaxed)
    }

    /// Whether the memory was not enough for something.
    pub fn memory_fired(&self) -> bool {
        self.all.memory_fired.load(Relaxed)
    }

    /// Begins a job (a guest, a stage of a pipeline, a subshell). It ends when what is returned is dropped.
    ///
    /// # Errors
    /// `EAGAIN`, as from `fork`: as many run as the policy allows.
    pub fn begin(&self) -> Result<Running, Errno> {
        let begun =
            self.all.jobs.fetch_update(SeqCst, Relaxed, |n| (n < self.all.processes).then_some(n + 1));
        match begun {
            Ok(_) => Ok(Running(self.clone())),
            Err(_) => {
                self.all.processes_fired.store(true, Relaxed);
                Err(Errno::AGAIN)
            }
        }
    }

    /// Whether the memory, and whether the jobs were not enough since this was asked for the last time.
    pub(crate) fn take_fired(&self) -> (bool, bool) {
        (self.all.memory_fired.swap(false, Relaxed), self.all.processes_fired.swap(false, Relaxed))
    }

    /// Jobs that run.
    pub fn jobs(&self) -> u32 {
        self.all.jobs.load(Relaxed)
    }

    /// Whether a job could not begin because too many ran.
    pub fn processes_fired(&self) -> bool {
        self.all.processes_fired.load(Relaxed)
    }

    /// Adds processor time that was used.
    pub(crate) fn add_cpu(&self, time: Duration) {
        self.all.cpu.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Processor time that was used.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.all.cpu.load(Relaxed))
    }
}

/// A job that runs.
#[derive(Debug)]
pub struct Running(Budget);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.all.jobs.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let budget = Budget::new(Duration::ZERO, 0, 1);
        assert_eq!(budget.check(), Err(Stop::Time));
        budget.stop(Stop::Output);
        assert_eq!(budget.check(), Err(Stop::Time));
    }

    #[test]
    fn a_part_is_stopped_alone_and_the_whole_with_all_its_parts() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let part = budget.child(None);
        let inner = part.child(Some(Duration::ZERO));
        assert_eq!((inner.check(), part.check()), (Err(Stop::Time), Ok(())));
        part.stop(Stop::Cancelled);
        assert_eq!((part.check(), budget.check()), (Err(Stop::Cancelled), Ok(())));
        let other = budget.child(None);
        other.stop(Stop::Output);
        assert_eq!(budget.check(), Err(Stop::Output));
    }

    #[test]
    fn memory_and_jobs_come_back() {
        let budget = Budget::new(Duration::from_secs(600), 100, 2);
        assert!(budget.take(60));
        assert!(!budget.take(41));
        assert!(!budget.take(u64::MAX));
        budget.give(60);
        assert!(budget.take(100));
        assert_eq!((budget.peak(), budget.memory_fired()), (100, true));
        let (one, two) = (budget.begin(), budget.begin());
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(budget.begin().err(), Some(Errno::AGAIN));
        drop(one);
        assert!(budget.begin().is_ok());
    }

    #[test]
    fn a_sleeper_wakes_when_the_action_is_stopped() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let sleeper = budget.clone();
        let sleeping = std::thread::spawn(move || sleeper.sleep(Duration::from_secs(600)));
        budget.stop(Stop::Cancelled);
        assert_eq!(sleeping.join().unwrap(), Err(Stop::Cancelled));
    }
}
