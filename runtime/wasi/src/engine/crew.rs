//! The threads of a sandbox. Each raises its walls once and is kept for the next stage of a pipeline.

use sbx_runtime::thread::cpu_time;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Stack of a thread, in bytes. Only what is touched takes memory.
pub(crate) const STACK: usize = 64 << 20;
/// So long a short work is waited for without sleeping: to be woken takes as long.
const SHORT: Duration = Duration::from_micros(100);
/// Threads that wait for work at most; those beyond end.
const IDLE: usize = 4;

/// What is to be done; it returns how its end is told.
type Work = Box<dyn FnOnce() -> Tell + Send>;
type Tell = Box<dyn FnOnce()>;

/// Threads for one sandbox. Dropping the last clone ends those that wait.
#[derive(Clone)]
pub struct Crew(Arc<Owner>);

struct Owner(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    settled: Condvar,
    /// What a thread does first: it raises its walls.
    begin: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    waiting: usize,
    /// Threads that do something, or are about to.
    busy: usize,
    cpu: Duration,
    closed: bool,
}

/// Work that a thread of the crew does.
#[must_use]
pub struct Task<T>(mpsc::Receiver<T>);

impl Crew {
    /// A crew without threads; each that is started begins with `begin`.
    pub fn new(begin: impl Fn() + Send + Sync + 'static) -> Crew {
        let shared = Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            settled: Condvar::new(),
            begin: Box::new(begin),
        };
        Crew(Arc::new(Owner(Arc::new(shared))))
    }

    /// Does `work` on a thread of the crew.
    ///
    /// # Errors
    /// There is no waiting thread, and the system gives no new one.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Task<T>> {
        let (give, take) = mpsc::sync_channel(1);
        let work: Work = Box::new(move || {
            // A panic drops the channel, and whoever waits is told.
            let done = catch_unwind(AssertUnwindSafe(work)).ok();
            Box::new(move || {
                if let Some(done) = done {
                    let _ = give.send(done);
                }
            })
        });
        let shared = &self.0.0;
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.queue.push_back(work);
        state.busy += 1;
        if state.waiting >= state.queue.len() {
            drop(state);
            shared.work.notify_one();
            return Ok(Task(take));
        }
        drop(state);
        let own = shared.clone();
        let started =
            std::thread::Builder::new().name("sbx-wasi".into()).stack_size(STACK).spawn(move || own.serve());
        if let Err(e) = started {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.queue.pop_back();
            state.busy -= 1;
            return Err(e);
        }
        Ok(Task(take))
    }
}

impl Crew {
    /// Waits until no thread does anything, but no longer than this; whether it is so.
    pub fn settle(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.0.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.busy > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.0.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Processor time that all work which has ended took.
    pub fn cpu(&self) -> Duration {
        self.0.0.state.lock().unwrap_or_else(PoisonError::into_inner).cpu
    }
}

impl Shared {
    fn serve(&self) {
        (self.begin)();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                let before = cpu_time();
                let tell = work();
                let used = cpu_time().saturating_sub(before);
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.cpu += used;
                state.busy -= 1;
                if state.busy == 0 {
                    self.settled.notify_all();
                }
                drop(state);
                // Only now: whoever is told finds the crew settled, and does not wait a second time.
                tell();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if state.closed || state.waiting >= IDLE {
                return;
            }
            state.waiting += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.work.notify_all();
    }
}

impl<T> Task<T> {
    /// Waits for its end; `None` when it panicked.
    pub fn join(self) -> Option<T> {
        self.0.recv().ok()
    }

    /// What it gave, if it has ended; `Err` while it runs.
    ///
    /// # Errors
    /// It still runs.
    pub fn poll(&self) -> Result<Option<T>, StillRuns> {
        match self.0.try_recv() {
            Ok(done) => Ok(Some(done)),
            Err(mpsc::TryRecvError::Empty) => Err(StillRuns),
            Err(mpsc::TryRecvError::Disconnected) => Ok(None),
        }
    }

    /// Waits for its end, but no longer than this.
    ///
    /// # Errors
    /// It still runs.
    pub fn wait(&self, time: std::time::Duration) -> Result<Option<T>, StillRuns> {
        let begun = Instant::now();
        while begun.elapsed() < SHORT.min(time) {
            match self.0.try_recv() {
                Ok(done) => return Ok(Some(done)),
                Err(mpsc::TryRecvError::Disconnected) => return Ok(None),
                Err(mpsc::TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        match self.0.recv_timeout(time.saturating_sub(begun.elapsed())) {
            Ok(done) => Ok(Some(done)),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(StillRuns),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

/// A task that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillRuns;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[test]
    fn a_thread_is_used_again_and_begins_once() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = begun.clone();
        let crew = Crew::new(move || {
            counted.fetch_add(1, SeqCst);
        });
        for n in 0..100 {
            assert_eq!(crew.start(move || n).unwrap().join(), Some(n));
        }
        assert!((1..50).contains(&begun.load(SeqCst)), "{begun:?} threads");
    }

    #[test]
    fn work_that_waits_for_other_work_never_stands_in_its_way() {
        let crew = Crew::new(|| {});
        let inner = crew.clone();
        let nested = crew.start(move || {
            let tasks: Vec<_> = (0..20).map(|n| inner.start(move || n).unwrap()).collect();
            tasks.into_iter().map(|t| t.join().unwrap()).sum::<i32>()
        });
        assert_eq!(nested.unwrap().join(), Some(190));
    }

    #[test]
    fn a_panic_is_told_and_the_thread_goes_on() {
        let crew = Crew::new(|| {});
        assert_eq!(crew.start(|| -> i32 { panic!("on purpose") }).unwrap().join(), None);
        assert_eq!(crew.start(|| 1).unwrap().join(), Some(1));
    }
}
