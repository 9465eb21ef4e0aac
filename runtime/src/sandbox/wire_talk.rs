//! The library's end of the control socket.

use super::Go;
use crate::Error;
use crate::linux::front::Heard;
use crate::linux::sys;
use crate::linux::wire::*;
use crate::plan::Step;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longest time that process 1 may take to build the walls.
const SETUP_TIME: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Process 1 has not waited longer than this to be heard.
const LONGEST: Duration = Duration::from_mins(10);

/// The library's end of the control socket.
#[derive(Debug)]
pub(super) struct Control {
    socket: OwnedFd,
    /// What was heard before this program began.
    heard: RefCell<Option<Heard>>,
}

/// What process 1 said when all was built.
pub(super) struct Ready {
    pub missing: Vec<String>,
    /// Steps that could not be carried out, walls or not.
    pub skipped: usize,
    pub dirs: Vec<OwnedFd>,
    /// Processor time of its children so far.
    pub cpu: Duration,
    /// When that was.
    pub stood: Instant,
}

impl Ready {
    /// Nothing was said yet.
    pub(super) fn none() -> Ready {
        Ready {
            missing: Vec::new(),
            skipped: 0,
            dirs: Vec::new(),
            cpu: Duration::ZERO,
            stood: Instant::now(),
        }
    }
}

/// How an action's first process ended.
#[derive(Debug)]
pub(super) struct Done {
    pub status: u32,
    pub errno: u32,
    /// Processor time of all actions so far.
    pub cpu: Duration,
    pub max_rss_bytes: u64,
    pub left_over: u32,
}

impl Control {
    pub(super) fn new(socket: OwnedFd, heard: Option<Heard>) -> Control {
        Control { socket, heard: RefCell::new(heard) }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has the plan carried out.
    pub(super) fn go(&self, go: Go<'_>) -> Result<(), Error> {
        self.send(&[MSG_GO, if go.is_awaited { GO_AWAITED } else { 0 }], &[go.steps])
    }

    /// Starts an action: its message, and its payload where that has no room in there; the doors of the cgroups that process
    /// 1 has to enter, its standard streams, and a script that is too long for the payload. Without a stdin that is the null
    /// device.
    pub(super) fn start(
        &self,
        (message, payload): (&[u8], Option<&[u8]>),
        doors: &[File],
        (stdin, outputs): (Option<BorrowedFd<'_>>, [BorrowedFd<'_>; 2]),
        script: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let payload = payload.map(sys::sealed_file).transpose();
        let payload = payload.map_err(|e| Error::system("the action's arguments", e))?;
        let streams = doors.iter().map(File::as_fd).chain(stdin).chain(outputs);
        let fds: Vec<_> = streams.chain(payload.as_ref().map(AsFd::as_fd)).chain(script).collect();
        self.send_bytes(message, &fds)
    }

    /// Has process 1 forget that it was to end an action, which has ended.
    pub(super) fn forget(&self) -> Result<(), Error> {
        self.send(&[MSG_FORGET], &[])
    }

    fn send(&self, words: &[u32], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        self.send_bytes(&bytes, fds)
    }

    fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|e| Error::Gone(format!("process 1 does not listen any more ({e})")))
    }

    /// Waits until the walls stand.
    pub(super) fn ready(&self, planned: &[Step]) -> Result<Ready, Error> {
        let (message, dirs) = match self.heard.take() {
            Some(Heard { said, fds }) => (words(&said), fds),
            None => self.wait_for_walls().and_then(|()| self.receive())?,
        };
        match message.first() {
            Some(&MSG_READY) => {
                let indexes = message.get(READY_LEN / 4..).unwrap_or(&[]);
                let cpu = Duration::from_micros(long(&message, 1));
                let step = |i: &u32| planned.get(*i as usize);
                let steps: Option<Vec<&Step>> = indexes.iter().map(step).collect();
                // What cannot be named cannot be reported, and a wall may be missing.
                let steps =
                    steps.ok_or_else(|| Error::Gone("a step failed that is not known here".into()))?;
                let skipped = steps.len();
                let name = |step: &Step| match step {
                    // A Landlock rule for a path that this host does not have opens nothing, so nothing is missing.
                    Step::Rule { .. } => None,
                    Step::Proc { .. } => Some("proc".to_string()),
                    // What lies in a /proc that is not there.
                    Step::Bind { at, .. } if at.ends_with("proc/sys") => None,
                    step => Some(step.to_string()),
                };
                let missing = steps.into_iter().filter_map(name).collect();
                Ok(Ready { missing, skipped, dirs, cpu, stood: since(message.get(4).copied()) })
            }
            Some(&MSG_FAILED) => {
                let step = message.get(1).map_or(0, |i| *i as usize);
                let errno = message.get(2).map_or(0, |e| *e as i32);
                let what = planned.get(step).map_or_else(
                    || match step as u32 {
                        NO_NETWORK => "find an empty network in the plan".into(),
                        _ => "read the plan".into(),
                    },
                    ToString::to_string,
                );
                let hint = match planned.get(step) {
                    Some(Step::Base { .. }) => {
                        "; this host may forbid mounts in user namespaces: see `sbx doctor`"
                    }
                    Some(Step::Proc { .. }) => "; /proc is masked here, as in a container: see `sbx doctor`",
                    _ => "",
                };
                Err(Error::Setup { step, what, reason: std::io::Error::from_raw_os_error(errno), hint })
            }
            _ => Err(Error::Gone("process 1 ended during set-up".into())),
        }
    }

    fn wait_for_walls(&self) -> Result<(), Error> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        loop {
            match poll(&mut fds, Some(&SETUP_TIME)) {
                Ok(0) => return Err(Error::Gone("set-up took longer than 30 s".into())),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::system("waiting for set-up", e)),
            }
        }
    }

    /// Receives the end of an action; `None` when process 1 is gone.
    pub(super) fn done(&self) -> Result<Option<Done>, Error> {
        let Ok((words, _)) = self.receive() else { return Ok(None) };
        if words.len() * 4 != DONE_LEN || words[0] != MSG_DONE {
            return Ok(None);
        }
        Ok(Some(Done {
            status: words[1],
            errno: words[2],
            cpu: Duration::from_micros(long(&words, 3)),
            max_rss_bytes: long(&words, 5) * 1024,
            left_over: words[7],
        }))
    }

    fn receive(&self) -> Result<(Vec<u32>, Vec<OwnedFd>), Error> {
        let mut bytes = [0u8; READY_LEN + 4 * MAX_MISSING];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let n = loop {
            match recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Ok(m) => break m.bytes,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::Gone(e.to_string())),
            }
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if n == 0 {
            return Err(Error::Gone("process 1 ended".into()));
        }
        Ok((words(&bytes[..n]), fds))
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|c| u32::from_ne_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// The message that starts an action, of its flags and the number of doors; and the payload where that has no room in it.
/// `is_alone` when this program has nothing else under way.
pub(super) fn message(flags: u32, doors: usize, is_alone: bool, payload: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let is_inline = RUN_HEAD + payload.len() <= RUN_LEN;
    let flags = flags | if is_inline { RUN_INLINE } else { 0 } | (doors as u32) << RUN_DOORS;
    let time = if is_alone { now() } else { 0 };
    let head = [MSG_RUN, flags, time].into_iter().flat_map(u32::to_ne_bytes);
    if is_inline {
        (head.chain(payload.iter().copied()).collect(), None)
    } else {
        (head.collect(), Some(payload))
    }
}

/// Microseconds that have passed, without the upper half, and never 0.
fn now() -> u32 {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec.wrapping_mul(1_000_000).wrapping_add(now.tv_nsec / 1000);
    (micros as u32).max(1)
}

/// When a clock of the kind of [`now`] showed this.
fn since(then: Option<u32>) -> Instant {
    let past = then.map_or(0, |then| now().wrapping_sub(then));
    let (here, past) = (Instant::now(), Duration::from_micros(past.into()));
    here.checked_sub(past).filter(|_| past < LONGEST).unwrap_or(here)
}

/// The u64 at a word of a message; 0 where there is none.
fn long(words: &[u32], at: usize) -> u64 {
    let word = |at: usize| words.get(at).copied().map_or(0, u64::from);
    word(at) | word(at + 1) << 32
}
