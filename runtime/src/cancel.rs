//! Ending an action from elsewhere, before its own end.

use crate::Error;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often is asked.
const TURN: Duration = Duration::from_millis(50);

/// Ends the actions that it was [given to](crate::Action::cancelled_by), from whichever thread: whoever waited for them is
/// gone. Clones are the same one, and it does not come back.
///
/// ```no_run
/// use sbx_runtime::{Action, Cancel, Outcome, Policy, Sandbox};
/// let cancel = Cancel::new()?;
/// let action = Action::bash("sleep 60").cancelled_by(&cancel);
/// std::thread::spawn(move || cancel.cancel());
/// let mut sandbox = Sandbox::open(&Policy::preset("whitelist")?, ".")?;
/// assert_eq!(sandbox.run(&action)?.outcome, Outcome::Cancelled);
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    called: OwnedFd,
    asked: Option<Asked>,
}

struct Asked {
    ask: Box<dyn Fn() -> bool + Send + Sync>,
    last: Mutex<Instant>,
    answer: AtomicBool,
}

impl Cancel {
    /// One that has not been called for.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> Result<Cancel, Error> {
        Cancel::with(None)
    }

    /// One that asks besides: on the thread that waits for an action, every 50 ms while it runs. For callers whose signals
    /// are handled there.
    ///
    /// # Errors
    /// As [`Cancel::new`].
    pub fn when(ask: impl Fn() -> bool + Send + Sync + 'static) -> Result<Cancel, Error> {
        let last = Mutex::new(Instant::now());
        Cancel::with(Some(Asked { ask: Box::new(ask), last, answer: AtomicBool::new(false) }))
    }

    fn with(asked: Option<Asked>) -> Result<Cancel, Error> {
        let called = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::system("a descriptor to cancel an action", e))?;
        Ok(Cancel(Arc::new(Inner { called, asked })))
    }

    /// Ends what runs: SIGTERM, and SIGKILL two seconds later. What begins later ends at once.
    pub fn cancel(&self) {
        // A counter that is full has been called for long ago.
        while rustix::io::write(&self.0.called, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Whether it was called for.
    pub fn is_cancelled(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.0.called, PollFlags::IN)];
        poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
            || self.0.asked.as_ref().is_some_and(Asked::ask)
    }

    /// Readable when it was called for.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.called.as_fd()
    }

    /// Time after which it is to be looked at again, whatever the descriptor says.
    pub(crate) fn turn(&self) -> Duration {
        if self.0.asked.is_some() { TURN } else { Duration::MAX }
    }
}

impl Asked {
    /// Asks, when it is time to.
    fn ask(&self) -> bool {
        if self.answer.load(Relaxed) {
            return true;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < TURN {
            return false;
        }
        *last = Instant::now();
        let answer = (self.ask)();
        self.answer.fetch_or(answer, Relaxed);
        answer
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}
