//! What a program that opens one sandbox found out the last time it was asked for the same: then process 1 can be told what
//! to do before anything was looked at, parsed or compiled, which takes longer than the sandbox.
//!
//! A record answers one request, byte for byte: the program, the user, the kernel, the cgroups, the policy's text, the
//! workspace. It lies in the user's own cache. What it takes from the view is doubted as always, though later: see
//! [`Doubted`]. Whatever goes wrong, the sandbox is opened as if there were no record, and that says why.

mod asked;

use super::wire_talk::Ready;
use super::{Begun, Process1, Sandbox};
use crate::action::Stdin;
use crate::cache::{self, Use};
use crate::linux::cpuid::ask;
use crate::linux::front::{self, Asked, Started};
use crate::linux::sys;
use crate::named::{OPENED, Parts, digits, name, parts, sum};
use crate::request::{Request, processor};
use crate::view::{Doubt, RecordId};
use crate::{Action, Error, Host, Network, Plan, Policy, Timings, Workspace};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Ends the name of a record of which nothing may be begun before this program: on cgroups of version 2 a process should
/// begin in its group.
const LATE: &str = "late";
/// More records than this are more than a user's workspaces: then all are forgotten.
const MOST: usize = 1000;

/// A request, and the place of its record.
#[derive(Debug)]
pub struct Recorded {
    /// A process 1 that was begun, for this request or another one.
    started: RefCell<Option<Started>>,
    file: PathBuf,
    /// See `front/request.rs`.
    request: Vec<u8>,
    policy: String,
    policy_text: String,
}

/// What was found out; the steps follow, as process 1 reads them.
#[derive(Serialize, Deserialize)]
struct Answer {
    host: Host,
    policy: Policy,
    plan: Plan,
    /// The record of the view.
    view: RecordId,
    /// The directory with its files.
    tree: PathBuf,
}

impl Recorded {
    /// The request for a sandbox under a policy, named as for [`Policy::named`], around a workspace. `None` where nothing
    /// is kept: there is no cache, or not all that decides is known.
    pub fn of(policy: &str, workspace: &Path) -> Option<Recorded> {
        // Where nothing can be kept, what was begun ends here.
        let started = RefCell::new(front::take());
        let lower = fs::canonicalize(workspace).ok()?;
        // Walls are built from what lies there: nobody else may write it, nor an action whose changes are committed.
        let dir = cache::private(OPENED).ok()?;
        if dir.parent().is_none_or(|cache| cache.starts_with(&lower) || lower.starts_with(cache)) {
            return None;
        }
        let program = fs::metadata("/proc/self/exe").ok()?;
        let size = i64::try_from(program.size()).ok()?;
        let (dev, ino) = (program.dev().cast_signed(), program.ino().cast_signed());
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        // Root takes the identity of the workspace's owner: that is looked up.
        if uid == 0 && fs::metadata(&lower).ok()?.uid() != 0 {
            return None;
        }
        let policy_text = text_of(policy)?;
        let kernel = rustix::system::uname();
        let cgroups = fs::read("/proc/self/cgroup").ok()?;
        let home = std::env::var_os("HOME");
        let request = Request {
            program: [dev, ino, size, program.mtime(), program.mtime_nsec()],
            user: [uid, gid],
            kernel: [kernel.release(), kernel.version()].map(std::ffi::CStr::to_bytes),
            landlock: sys::landlock_abi(),
            processor: processor(ask),
            cgroups: &cgroups,
            home: home.as_deref().map(OsStr::as_bytes),
            policy: policy.as_bytes(),
            policy_text: policy_text.as_bytes(),
            workspace: lower.as_os_str().as_bytes(),
        };
        let mut bytes = Vec::new();
        request.pieces(|piece| bytes.extend(piece));
        let digits = name(policy.as_bytes(), lower.as_os_str().as_bytes()).collect();
        let file = dir.join(OsString::from_vec(digits));
        Some(Recorded { started, file, request: bytes, policy: policy.into(), policy_text })
    }

    /// Ends what was begun for a command line that is not a usual one.
    pub fn none() {
        drop(front::take());
    }

    /// Opens the sandbox as the last time. `None` when there was none, or anything differs.
    pub fn open(&self) -> Option<Sandbox> {
        let mut timings = Timings::start();
        let is_this = |record: &[u8]| parts(record).is_some_and(|parts| parts.request == self.request);
        let is_ours = |started: &Started| is_this(started.record);
        // What was begun for another request ends here.
        let started = self.started.take().filter(is_ours);
        let (file, text) = match &started {
            Some(started) => (self.file.clone(), Cow::Borrowed(started.record)),
            None => {
                let read = |file: PathBuf| fs::read(&file).ok().map(|text| (file, Cow::Owned(text)));
                read(self.file.clone()).or_else(|| read(self.file.with_extension(LATE)))?
            }
        };
        let Parts { request, answer, steps, .. } = parts(&text)?;
        if request != self.request {
            return None;
        }
        let Answer { host, policy, plan, view, tree } = serde_json::from_slice(answer).ok()?;
        timings.end("read the record of the last time");
        // It appears under its own path.
        let mut begun = Begun::of(host, Workspace::new(&plan.workspace), timings).ok()?;
        let is_compared = started.as_ref().is_some_and(|started| started.is_compared);
        let (process1, asked, how) = match started {
            Some(started) => {
                let (process1, asked) = Process1::of(started);
                (process1, asked, "take process 1, which was begun already")
            }
            None => {
                let steps = sys::sealed_file(steps).ok()?;
                (begun.start(Some(steps.as_fd())).ok()?, None, "start process 1 in its namespaces")
            }
        };
        begun.timings.end(how);
        let was_asked = asked.is_some();
        let doubted = Doubted { record: file, view, tree, asked, is_compared };
        let (policy, plan) = (Arc::new(policy), Arc::new(plan));
        let made = if was_asked { Ok(process1) } else { begun.make_group(&policy, process1) };
        let opened = made.and_then(|made| begun.sandbox(policy, made, Ready::none(), plan, None));
        let Ok(mut sandbox) = opened else {
            doubted.forget();
            return None;
        };
        sandbox.doubted = Some(doubted);
        sandbox.has_entered |= was_asked;
        Some(sandbox)
    }

    /// Keeps what was found out when this sandbox was opened.
    pub fn keep(&self, sandbox: &Sandbox) {
        let is_usual = sandbox.policy.network != Network::Proxy && sandbox.lower == sandbox.plan.workspace;
        // The sandbox's policy was read after the request: only a text that is still the same is the one that it has.
        let is_same = text_of(&self.policy).as_ref() == Some(&self.policy_text);
        // A cache that cannot be written costs time, no more.
        if is_usual && is_same && sandbox.is_whole {
            let _ = self.write(sandbox);
        }
    }

    fn write(&self, sandbox: &Sandbox) -> io::Result<()> {
        let Some((view, tree)) = super::known_view(&sandbox.policy) else { return Ok(()) };
        let dir = cache::private(OPENED)?;
        if fs::read_dir(&dir)?.count() >= MOST {
            fs::remove_dir_all(&dir)?;
            cache::private(OPENED)?;
        }
        let plan = Plan { steps: Vec::new(), ..(*sandbox.plan).clone() };
        let host = Host::known();
        let file = match host.cgroup.version {
            2 => self.file.with_extension(LATE),
            _ => self.file.clone(),
        };
        let asking = asked::asking(&sandbox.policy, &host, &plan);
        let finishing = asked::finishing(&sandbox.policy, &plan, &view, &tree);
        let answer = Answer { host, policy: (*sandbox.policy).clone(), plan, view, tree };
        let answer = serde_json::to_vec(&answer)?;
        let mut rest = Vec::new();
        for part in [asking, finishing, answer] {
            rest.extend(digits(part.len() as u64));
            rest.extend(part);
        }
        rest.extend(sandbox.plan.encode());
        let mut draft = tempfile::NamedTempFile::new_in(&dir)?;
        let length: Vec<u8> = digits(self.request.len() as u64).collect();
        let sum: Vec<u8> = sum(&rest).collect();
        for part in [&length, &self.request, &sum, &rest] {
            draft.write_all(part)?;
        }
        draft.persist(file)?;
        Ok(())
    }
}

/// A sandbox whose walls are being built, and whose view was not compared with the host yet. Where the beginning of an
/// action leaves no trace it is asked for at once, and begins when the walls stand; the comparison takes as long as its bash
/// takes to load, and is done meanwhile.
#[derive(Debug)]
pub(super) struct Doubted {
    /// The record that it was opened from.
    record: PathBuf,
    view: RecordId,
    /// The directory with the view's files.
    tree: PathBuf,
    /// What was asked for before the program itself. What differs from that is asked of another sandbox.
    asked: Option<Asked>,
    /// All was compared before the program itself, which also keeps the view's files until the program ends.
    is_compared: bool,
}

impl Doubted {
    /// The outputs of the action that was asked for already, if that is this one. `None` when none was.
    ///
    /// # Errors
    /// Another one was: its sandbox is to be dropped.
    pub(super) fn outputs(&mut self, message: &[u8]) -> Result<Option<[OwnedFd; 2]>, Error> {
        match self.asked.take() {
            None => Ok(None),
            Some(asked) if asked.message == message => Ok(Some(asked.outputs)),
            Some(_) => Err(Error::Changed),
        }
    }

    /// Waits for the walls, and compares. The time when they stood: an action that was asked for before began then.
    ///
    /// # Errors
    /// The host has changed, or does not let the walls be built any more: the record is gone then. Or an action was asked
    /// for that is not this one.
    pub(super) fn settle(self, sandbox: &mut Sandbox) -> Result<Instant, Error> {
        if self.asked.is_some() {
            return Err(Error::Changed);
        }
        // Without its steps: whatever fails is a reason to plan anew.
        if let Ok(ready) = sandbox.control.ready(&[]) {
            let stood = ready.stood;
            sandbox.areas = ready.dirs;
            sandbox.cpu_before = ready.cpu;
            sandbox.timings.end("carry the plan out");
            if self.is_compared {
                return Ok(stood);
            }
            sandbox._in_use = self.in_use();
            let holds = || Doubt::again(self.view.clone()).is_some_and(|doubt| doubt.is_unfounded());
            if sandbox._in_use.is_some() && holds() {
                sandbox.cgroups.sweep();
                return Ok(stood);
            }
        }
        self.forget();
        Err(Error::Changed)
    }

    /// Keeps the view's files in the cache. `None` when they are not there any more.
    fn in_use(&self) -> Option<Use> {
        cache::in_use(self.tree.parent()?, self.tree.file_name()?.to_str()?)
    }

    fn forget(self) {
        let _ = fs::remove_file(&self.record);
    }
}

/// Whether an action that has begun can be dropped, and nobody knows: it reads nothing of the caller's that he has only
/// once, reaches nothing outside, and its output was not handed on.
pub(super) fn leaves_no_trace(policy: &Policy, action: &Action) -> bool {
    let reads_nothing = match &action.stdin {
        Stdin::Null | Stdin::Bytes(_) => true,
        Stdin::Descriptor(fd) => rustix::fs::fstat(fd).is_ok_and(|m| {
            const NULL: (u32, u32) = (1, 3);
            (rustix::fs::major(m.st_rdev), rustix::fs::minor(m.st_rdev)) == NULL
        }),
    };
    reads_nothing && action.stdout.is_none() && action.stderr.is_none() && policy.network == Network::None
}

/// The text of a policy's own file; nothing for a preset, which is in the program. `None` when it extends another file.
fn text_of(policy: &str) -> Option<String> {
    if !Policy::is_file(policy) {
        return Some(String::new());
    }
    let text = fs::read_to_string(policy).ok()?;
    let mut parents = text.lines().filter(|line| line.contains("extends"));
    let is_preset = |line: &str| -> Option<bool> {
        let name = line.strip_prefix("extends")?.trim_start().strip_prefix('=')?.trim();
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        Some(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    match (parents.next(), parents.next()) {
        (None, _) => Some(text),
        (Some(line), None) if is_preset(line) == Some(true) => Some(text),
        _ => None,
    }
}
