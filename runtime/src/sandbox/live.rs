//! What an action and a persistent bash need of their sandbox alike.

use super::run::AGAIN;
use super::wire_talk::message;
use super::{Sandbox, payload};
use crate::linux::cgroup::Cgroup;
use crate::linux::wire::RUN_TERMINAL;
use crate::{Action, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{StatVfs, fstatvfs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time in which the kernel must have killed everything; then the sandbox itself is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Limits that fired since they were looked at last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fired {
    pub memory: bool,
    pub processes: bool,
    pub workspace: bool,
}

impl Fired {
    /// Their names in an observation.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [(self.memory, "memory"), (self.processes, "processes"), (self.workspace, "workspace")];
        all.into_iter().filter(|(fired, _)| *fired).map(|(_, name)| name)
    }
}

impl Sandbox {
    /// Whether this process may speak to process 1.
    ///
    /// # Errors
    /// It is a fork of the one that opened the sandbox.
    pub(crate) fn check_ours(&self) -> Result<(), Error> {
        const FORKED: &str = "it belongs to the process that this one was forked from; open another one here";
        if self.init.is_ours() { Ok(()) } else { Err(Error::Gone(FORKED.into())) }
    }

    /// Sets the memory limit: what is in the writable areas is memory too, but not the next action's.
    pub(crate) fn allow_memory(&self) -> Result<(), Error> {
        self.group().map_or(Ok(()), |cgroup| {
            cgroup.allow(self.policy.limits.memory.0 + self.areas.iter().map(used).sum::<u64>())
        })
    }

    /// As [`Sandbox::allow_memory`], with what was in the areas when the last action had ended: nobody else writes there.
    pub(super) fn allow_memory_as_left(&self) -> Result<(), Error> {
        self.group().map_or(Ok(()), |cgroup| cgroup.allow(self.policy.limits.memory.0 + self.used))
    }

    /// Starts an action whose descriptors are all the caller's, on a terminal, and does not wait for it.
    pub(crate) fn launch(&mut self, action: &Action) -> Result<(), Error> {
        self.check_ours()?;
        let system = |e| Error::system("the action's arguments", e);
        let (payload, _) = payload::encode(action, &self.plan).map_err(system)?;
        if let Some(doubted) = self.doubted.take() {
            doubted.settle(self)?;
        }
        let doors = self.doors()?;
        self.allow_memory()?;
        let (crate::Stdin::Descriptor(stdin), Some(stdout), Some(stderr)) =
            (&action.stdin, &action.stdout, &action.stderr)
        else {
            return Err(Error::Session("expected descriptors for all three streams".into()));
        };
        let streams = (Some(stdin.as_fd()), [stdout.as_fd(), stderr.as_fd()]);
        let (message, payload) = message(RUN_TERMINAL, doors.len(), false, &payload);
        self.control.start((&message, payload), &doors, streams, None)?;
        self.has_entered = true;
        Ok(())
    }

    /// Readable when the action that was begun has ended.
    pub(crate) fn control_fd(&self) -> BorrowedFd<'_> {
        self.control.fd()
    }

    /// The wait status of the action that was begun.
    pub(crate) fn ended(&self) -> Result<u32, Error> {
        self.control.done()?.map(|done| done.status).ok_or_else(|| Error::Gone("process 1 ended".into()))
    }

    /// Kills all that was begun, and waits for its end.
    pub(crate) fn kill_all(&mut self) -> Result<(), Error> {
        let over = Instant::now() + PATIENCE;
        let control = self.control.fd();
        let mut fds = [PollFd::from_borrowed_fd(control, PollFlags::IN)];
        loop {
            self.init.end_action(true);
            let time = Timespec { tv_sec: 0, tv_nsec: AGAIN.as_nanos() as i64 };
            match poll(&mut fds, Some(&time)) {
                Ok(0) if Instant::now() < over => {}
                Ok(0) => {
                    self.init.kill();
                    return Err(Error::Gone("a process did not die".into()));
                }
                Ok(_) => return self.ended().and_then(|_| self.control.forget()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::system("waiting for the end", e)),
            }
        }
    }

    /// Which limits fired since they were looked at last.
    pub(crate) fn fired(&mut self) -> Fired {
        let before = self.counts;
        self.counts = self.group().map_or((0, 0), Cgroup::counts);
        let areas: Vec<StatVfs> = self.areas.iter().filter_map(|dir| fstatvfs(dir).ok()).collect();
        self.used = areas.iter().map(bytes).sum();
        Fired {
            memory: self.counts.0 > before.0,
            processes: self.counts.1 > before.1,
            workspace: areas.iter().any(|area| area.f_bavail == 0 || area.f_ffree == 0),
        }
    }
}

/// Bytes in a writable area.
fn used(dir: &OwnedFd) -> u64 {
    fstatvfs(dir).map_or(0, |area| bytes(&area))
}

fn bytes(area: &StatVfs) -> u64 {
    area.f_blocks.saturating_sub(area.f_bfree) * area.f_frsize
}
