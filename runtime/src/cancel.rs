//! Ending an action from elsewhere, before its own end.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::Error;

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
pub struct Cancel(Arc<OwnedFd>);

impl Cancel {
    /// One that has not been called for.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> Result<Cancel, Error> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::system("a descriptor to cancel an action", e))?;
        Ok(Cancel(Arc::new(fd)))
    }

    /// Ends what runs: SIGTERM, and SIGKILL two seconds later. What begins later ends at once.
    pub fn cancel(&self) {
        // A counter that is full has been called for long ago.
        while rustix::io::write(&self.0, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Whether it was called for.
    pub fn is_cancelled(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Readable when it was called for.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
