//! What a program that opens one sandbox found out the last time it was asked for the same: then process 1 can be told what
//! to do before anything was looked at, parsed or compiled, which takes longer than the sandbox.
//!
//! A record answers one request, byte for byte: the program, the user, the kernel, the cgroups, the policy's text, the
//! workspace. It lies in the user's own cache. What it takes from the view is doubted as always, though later: see
//! [`Doubted`]. Whatever goes wrong, the sandbox is opened as if there were no record, and that says why.

use super::wire_talk::Ready;
use super::{Begun, Process1, Sandbox};
use crate::action::Stdin;
use crate::cache::{self, Use};
use crate::linux::front::{self, Started};
use crate::linux::sys;
use crate::named::{OPENED, Parts, name, parts, sum};
use crate::view::{Doubt, RecordId};
use crate::{Action, Error, Host, Network, Plan, Policy, Timings, Workspace};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
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
    /// A line of JSON.
    request: Vec<u8>,
    policy: String,
    policy_text: String,
}

/// All that decides what a sandbox is.
#[derive(Serialize)]
struct Request<'a> {
    /// Device, inode, size and modification time.
    program: [i64; 5],
    user: [u32; 2],
    kernel: [String; 2],
    landlock: u32,
    processor: &'a str,
    cgroups: String,
    home: Option<PathBuf>,
    policy: &'a str,
    policy_text: &'a str,
    workspace: &'a Path,
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
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let request = Request {
            program: [dev, ino, size, program.mtime(), program.mtime_nsec()],
            user: [uid, gid],
            kernel: [text(kernel.release()), text(kernel.version())],
            landlock: sys::landlock_abi(),
            processor: crate::view::processor(),
            cgroups: fs::read_to_string("/proc/self/cgroup").ok()?,
            home: std::env::var_os("HOME").map(PathBuf::from),
            policy,
            policy_text: &policy_text,
            workspace: &lower,
        };
        let digits = name(policy.as_bytes(), lower.as_os_str().as_bytes()).collect();
        let file = dir.join(OsString::from_vec(digits));
        let request = serde_json::to_vec(&request).ok()?;
        Some(Recorded { started, file, request, policy: policy.into(), policy_text })
    }

    /// Opens the sandbox as the last time. `None` when there was none, or anything differs.
    pub fn open(&self) -> Option<Sandbox> {
        let mut timings = Timings::start();
        let is_ours = |started: &Started| started.record.starts_with(&self.request);
        // What was begun for another request ends here.
        let started = self.started.take().filter(is_ours);
        let (file, text) = match &started {
            Some(started) => (self.file.clone(), Cow::Borrowed(started.record)),
            None => {
                let read = |file: PathBuf| fs::read(&file).ok().map(|text| (file, Cow::Owned(text)));
                read(self.file.clone()).or_else(|| read(self.file.with_extension(LATE)))?
            }
        };
        if !text.strip_prefix(self.request.as_slice())?.starts_with(b"\n") {
            return None;
        }
        let Parts { answer, steps } = parts(&text)?;
        let Answer { host, policy, plan, view, tree } = serde_json::from_slice(answer).ok()?;
        timings.end("read the record of the last time");
        // It appears under its own path.
        let mut begun = Begun::of(host, Workspace::new(&plan.workspace), timings);
        let (process1, how) = match started {
            Some(started) => (Process1::of(started), "take process 1, which was begun already"),
            None => {
                let steps = sys::sealed_file(steps).ok()?;
                (begun.start(Some(steps.as_fd())).ok()?, "start process 1 in its namespaces")
            }
        };
        begun.timings.end(how);
        let doubted = Doubted { record: file, view, tree };
        let (policy, plan) = (Arc::new(policy), Arc::new(plan));
        let made = begun.make_group(&policy, process1);
        let opened = made.and_then(|made| begun.sandbox(policy, made, Ready::none(), plan, None));
        let Ok(mut sandbox) = opened else {
            doubted.forget();
            return None;
        };
        sandbox.doubted = Some(doubted);
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
        let answer = Answer { host, policy: (*sandbox.policy).clone(), plan, view, tree };
        let mut rest = serde_json::to_vec(&answer)?;
        rest.push(b'\n');
        rest.extend(sandbox.plan.encode());
        let mut draft = tempfile::NamedTempFile::new_in(&dir)?;
        for part in [self.request.as_slice(), b"\n", &sum(&rest).collect::<Vec<u8>>(), &rest] {
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
}

impl Doubted {
    /// Waits for the walls, and compares. The time when they stood: an action that was asked for before began then.
    ///
    /// # Errors
    /// The host has changed, or does not let the walls be built any more. The record is gone then.
    pub(super) fn settle(self, sandbox: &mut Sandbox) -> Result<Instant, Error> {
        // Without its steps: whatever fails is a reason to plan anew.
        if let Ok(ready) = sandbox.control.ready(&[]) {
            let stood = Instant::now();
            sandbox.areas = ready.dirs;
            sandbox.cpu_before = ready.cpu;
            sandbox.timings.end("carry the plan out");
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
