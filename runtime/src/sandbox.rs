//! A live confinement: one set of walls around one workspace, for many actions, one after the other.

mod live;
mod payload;
mod planned;
mod recorded;
mod run;
mod under_way;
mod wire_talk;

use crate::cache::Use;
use crate::linux::cgroup::{Cgroup, Cgroups, Member};
use crate::linux::enter::{self, Init};
use crate::linux::front::{Asked, Started};
use crate::policy::{Clock, Network};
use crate::proxy::Proxy;
use crate::view::{Doubt, Prepared, RecordId};
use crate::{
    Action, Backend, Changes, Command, Error, Host, Observation, Plan, Policy, Stream, Timings, View,
    Workspace,
};
use planned::Planned;
pub use recorded::Recorded;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use under_way::UnderWay;
use wire_talk::{Control, Ready};

/// A live confinement. Dropping it kills every process in it; no mount, process or file remains. A fork of the process that
/// opened it can neither use nor end it.
///
/// ```no_run
/// use sbx_runtime::{Policy, Sandbox};
/// let mut sandbox = Sandbox::open(&Policy::preset("whitelist")?, "checkout")?;
/// let seen = sandbox.command("ls").arg("-l").output()?;
/// print!("{}", seen.stdout.text());
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Sandbox {
    // Dropped in this order: the socket closes, process 1 dies, its group can be removed.
    control: Control,
    init: Init,
    /// Made for the first action at the latest, where one can be made.
    cgroup: Option<Member>,
    /// Where it can be, as when the walls were planned.
    cgroups: Cgroups,
    /// Process 1 is in its cgroup, or there is none.
    has_entered: bool,
    /// The writable areas; the first is the overlay's upper directory when the workspace is writable.
    areas: Vec<OwnedFd>,
    lower: PathBuf,
    /// The workspace itself.
    held: OwnedFd,
    plan: Arc<Plan>,
    policy: Arc<Policy>,
    cpu_before: std::time::Duration,
    /// When the last action had ended.
    ended: Option<std::time::Instant>,
    timings: Timings,
    /// Kills for memory and refused forks until the last action.
    counts: (u64, u64),
    /// Bytes in the writable areas after the last action.
    used: u64,
    /// Every step of the plan was carried out, those that may fail too.
    is_whole: bool,
    doubted: Option<recorded::Doubted>,
    _in_use: Option<Use>,
    /// Last: its port belongs to the sandbox's network.
    _proxy: Option<Proxy>,
}

impl Sandbox {
    /// Builds the walls of `policy` around `workspace` on this host.
    ///
    /// # Errors
    /// The workspace cannot be used, a wall is missing and the policy refuses that, or a step of the plan fails.
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Sandbox, Error> {
        let mut begun = Begun::begin(workspace.into(), Timings::start(), false)?;
        let recent = Planned::recent(policy, &begun.host, &begun.workspace);
        // Said before anybody listens: process 1 need not wait for it.
        let steps = recent.as_ref().map(|planned| planned.steps.as_fd());
        let process1 = begun.start(steps)?;
        begun.timings.end("start process 1 in its namespaces");
        begun.open(policy, process1, recent)
    }

    /// The files through which process 1 enters its cgroup with the next action, unless it has done so.
    fn doors(&mut self) -> Result<Vec<File>, Error> {
        if self.has_entered {
            return Ok(Vec::new());
        }
        if self.cgroup.is_none() {
            self.cgroup = Cgroup::with(&self.cgroups, &self.policy.limits)?.map(Member::of);
        }
        // What it counted for a sandbox before does not count.
        self.counts = self.group().map_or((0, 0), Cgroup::counts);
        self.group().map_or(Ok(Vec::new()), Cgroup::doors)
    }

    fn group(&self) -> Option<&Cgroup> {
        self.cgroup.as_deref()
    }

    /// How many groups it has.
    fn groups(&self) -> usize {
        self.group().map_or(0, |group| group.dirs().count())
    }

    /// Runs an action and hands its output on as it comes; otherwise as [`Sandbox::run`]. After a `Break` nobody reads the
    /// stream any more: its pipe is closed, and who writes to it is told so, as by any reader that goes away. When `seen`
    /// panics, the action is killed, and the panic goes on.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn run_with(
        &mut self,
        action: &Action,
        seen: &mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<Observation, Error> {
        run::run(self, action, seen)
    }

    /// Runs an action to its end and tells what happened.
    ///
    /// # Errors
    /// Only when *we* fail: the sandbox is gone, or a descriptor cannot be made. What the action does wrong is an
    /// [`Outcome`](crate::Outcome).
    pub fn run(&mut self, action: &Action) -> Result<Observation, Error> {
        run::run(self, action, &mut |_, _| ControlFlow::Continue(()))
    }

    /// A program to run in this sandbox, with the names of [`std::process::Command`].
    pub fn command(&mut self, program: impl AsRef<OsStr>) -> Command<'_> {
        Command::new(self, program.as_ref())
    }

    /// What the actions changed so far.
    ///
    /// # Errors
    /// The overlay's upper directory cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        let Some(upper) = self.areas.first().filter(|_| self.policy.write_workspace) else {
            return Ok(Changes::none(&self.lower));
        };
        let fd = upper.try_clone().map_err(|e| Error::system("the overlay's upper directory", e))?;
        let changes =
            Changes::read(fd, &self.lower).map_err(|e| Error::system("the overlay's upper directory", e))?;
        Ok(changes.over(self.held.try_clone().map_err(|e| Error::system("the workspace", e))?))
    }

    /// Ends the sandbox as dropping it does, but does not wait for that. Only for a program that ends now: what is left of
    /// the sandbox goes a few milliseconds after it.
    pub fn leave(self) {
        // The end of a process 1, as in a container, is the end of all who could clear up.
        if std::process::id() == 1 || !self.init.is_ours() {
            return;
        }
        let groups = self.group().into_iter().flat_map(Cgroup::dirs).cloned().collect();
        if self.init.leave(groups) {
            std::mem::forget(self);
        }
    }

    /// The plan that was carried out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where the time of [`Sandbox::open`] went.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The policy that holds.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Process 1 of a sandbox to come, for a program that opens one sandbox and has read nothing yet: the namespaces are made
/// while it reads. Dropping it ends process 1.
#[derive(Debug)]
pub struct Early {
    process1: Process1,
    host: Host,
    timings: Timings,
}

impl Early {
    /// Starts process 1 with the caller's identity. `None` where that fails, or where the owner of the working directory
    /// is somebody else than root, who asks: [`Sandbox::open`] then starts it as it must be, or says what is wrong.
    pub fn start() -> Option<Early> {
        let mut timings = Timings::start();
        let host = Host::known();
        if host.uid == 0 && !std::fs::metadata(".").is_ok_and(|m| m.uid() == 0) {
            return None;
        }
        timings.end("look at the host");
        let process1 = Process1::start(&host, None).ok()?;
        timings.end("start process 1 in its namespaces");
        Some(Early { process1, host, timings })
    }

    /// As [`Sandbox::open`], around this process 1; around another one where the workspace's owner asks for another
    /// identity.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open(self, policy: &Policy, workspace: impl Into<Workspace>) -> Result<Sandbox, Error> {
        let Early { process1, host, mut timings } = self;
        timings.end("read the arguments and the policy");
        let begun = Begun::begin(workspace.into(), timings, true)?;
        let process1 = if begun.host == host {
            process1
        } else {
            drop(process1);
            begun.start(None)?
        };
        begun.open(policy, process1, None)
    }
}

/// A sandbox that is being built.
struct Begun {
    host: Host,
    workspace: Workspace,
    /// Its directory, opened before process 1 shows it.
    held: OwnedFd,
    timings: Timings,
    /// An action follows at once, so the cgroup is made while process 1 mounts. Otherwise it is made for the first action:
    /// a sandbox that only waits needs none.
    acts_at_once: bool,
    under_way: UnderWay,
}

/// What process 1 is told first: its plan, and that this is awaited.
#[derive(Clone, Copy)]
struct Go<'a> {
    steps: BorrowedFd<'a>,
    is_awaited: bool,
}

/// Process 1. Without a plan it makes its network and waits for one.
#[derive(Debug)]
struct Process1 {
    // Dropped in this order, as in the sandbox.
    control: Control,
    init: Init,
    cgroup: Option<Cgroup>,
    /// It has its plan.
    is_told: bool,
}

impl Process1 {
    /// One that was started before this program began, and what it was asked for.
    fn of(started: Started) -> (Process1, Option<Asked>) {
        let Started { control, init, group: cgroup, asked, heard, .. } = started;
        (Process1 { control: Control::new(control, heard), init, cgroup, is_told: true }, asked)
    }

    fn start(host: &Host, go: Option<Go<'_>>) -> Result<Process1, Error> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|e| Error::system("control socket", e))?;
        let control = Control::new(ours, None);
        if let Some(go) = go {
            control.go(go)?;
        }
        // On version 2 a process that moves waits for the kernel; one that begins there does not.
        let cgroup = if host.cgroup.version == 2 { Cgroup::make(&host.cgroup)? } else { None };
        let birthplace = cgroup.as_ref().and_then(Cgroup::birthplace);
        let init = enter::start(host, theirs.as_fd(), birthplace.as_ref())?;
        Ok(Process1 { control, init, cgroup, is_told: go.is_some() })
    }
}

impl Begun {
    fn begin(workspace: Workspace, mut timings: Timings, acts_at_once: bool) -> Result<Begun, Error> {
        let workspace = workspace.resolved()?;
        let held = workspace.open()?;
        let host = Host::known().for_workspace(&workspace);
        timings.end("look at the workspace");
        Ok(Begun { host, workspace, held, timings, acts_at_once, under_way: UnderWay::begin() })
    }

    /// Of what was found out the last time, for a program that acts at once.
    fn of(host: Host, workspace: Workspace, timings: Timings) -> Result<Begun, Error> {
        let (held, under_way) = (workspace.open()?, UnderWay::begin());
        Ok(Begun { host, workspace, held, timings, acts_at_once: true, under_way })
    }

    /// Starts process 1, with the plan where that is known.
    fn start(&self, steps: Option<BorrowedFd<'_>>) -> Result<Process1, Error> {
        Process1::start(&self.host, steps.map(|steps| self.go(steps)))
    }

    fn go<'a>(&self, steps: BorrowedFd<'a>) -> Go<'a> {
        Go { steps, is_awaited: !self.acts_at_once && self.under_way.leaves_a_processor() }
    }

    fn open(
        mut self,
        policy: &Policy,
        process1: Process1,
        recent: Option<Planned>,
    ) -> Result<Sandbox, Error> {
        let (planned, looked) = recent.map_or_else(|| self.plan(policy), |recent| Ok((recent, None)))?;
        self.timings.end("plan");
        let workspace = self.workspace.clone();
        match self.finish(process1, planned, looked)? {
            Some(sandbox) => Ok(sandbox),
            None => Sandbox::open(policy, workspace),
        }
    }

    fn plan(&self, policy: &Policy) -> Result<(Planned, Option<Looked>), Error> {
        if policy.backend != Backend::Native {
            let (name, backend) = (&policy.name, policy.backend.name());
            return Err(Error::Policy(format!(
                "{name}: backend: a native sandbox does not hold what {backend:?} promises; open it through `Shell`"
            )));
        }
        if policy.clock != Clock::Real {
            return Err(Error::Policy(format!(
                "{}: clock: a native process reads the host's clock; \"workspace\" needs backend = \"wasi\"",
                policy.name
            )));
        }
        let (mut view, looked) = view_of(policy, &self.workspace.lower);
        if view.tree.as_ref().is_some_and(|tree| !self.host.may_reach(&tree.root)) {
            view = Arc::new(View::resolve(policy));
        }
        Ok((Planned::new(policy, &self.host, &view, &self.workspace)?, Some(looked)))
    }

    /// Has the plan carried out. `None` when the host is no longer what it was planned for.
    fn finish(
        mut self,
        process1: Process1,
        planned: Planned,
        looked: Option<Looked>,
    ) -> Result<Option<Sandbox>, Error> {
        let Planned { policy, plan, steps, .. } = planned.clone();
        let process1 = self.tell(process1, steps.as_fd()).and_then(|told| self.make_group(&policy, told));
        let mut in_use = None;
        if let Some(looked) = looked {
            // A host that has changed may be why the plan cannot be carried out: that comes first.
            let Some(held) = looked.held() else {
                return Ok(None);
            };
            in_use = held;
            planned.keep();
        }
        let process1 = process1?;
        self.host.cgroup.sweep();
        self.timings.end("look whether programs have changed");
        let ready = process1.control.ready(&plan.steps)?;
        self.timings.end("carry the plan out");
        self.sandbox(policy, process1, ready, plan, in_use).map(Some)
    }

    /// Has process 1 carry the plan out, if it does not so already, and does not wait for it.
    fn tell(&self, process1: Process1, steps: BorrowedFd<'_>) -> Result<Process1, Error> {
        if !process1.is_told {
            process1.control.go(self.go(steps))?;
        }
        Ok(Process1 { is_told: true, ..process1 })
    }

    /// Makes the cgroup, or limits it.
    fn make_group(&mut self, policy: &Policy, process1: Process1) -> Result<Process1, Error> {
        // As a whole: should anything fail, process 1 ends before its group.
        let mut process1 = process1;
        // Process 1 mounts now. What it does not need for that is done meanwhile.
        if let Some(made) = &process1.cgroup {
            made.limit(&policy.limits)?;
        } else if self.acts_at_once {
            process1.cgroup = Cgroup::with(&self.host.cgroup, &policy.limits)?;
        }
        if process1.cgroup.is_some() {
            self.timings.end("make the cgroup");
        }
        Ok(process1)
    }

    /// A sandbox, of what process 1 said when its walls stood.
    fn sandbox(
        self,
        policy: Arc<Policy>,
        process1: Process1,
        ready: Ready,
        mut plan: Arc<Plan>,
        in_use: Option<Use>,
    ) -> Result<Sandbox, Error> {
        let is_whole = ready.skipped == 0;
        if !ready.missing.is_empty() {
            Arc::make_mut(&mut plan).missing.extend(ready.missing);
        }
        let mut areas = ready.dirs;
        let proxy = match policy.network {
            Network::Proxy => {
                let port =
                    areas.pop().ok_or_else(|| Error::Gone("no port for the proxy was handed over".into()))?;
                Some(Proxy::start(port, &policy.domains).map_err(|e| Error::system("the proxy", e))?)
            }
            _ => None,
        };
        let Process1 { control, init, cgroup, .. } = process1;
        Ok(Sandbox {
            control,
            has_entered: init.is_in_group(),
            init,
            cgroup: cgroup.map(Member::of),
            cgroups: self.host.cgroup,
            areas,
            lower: self.workspace.lower,
            held: self.held,
            plan,
            policy,
            cpu_before: ready.cpu,
            ended: None,
            timings: self.timings,
            counts: (0, 0),
            used: 0,
            is_whole,
            doubted: None,
            _in_use: in_use,
            _proxy: proxy,
        })
    }
}

/// A view that was looked up, or found in a record.
struct Looked {
    /// What it may be doubted for.
    doubt: Option<Doubt>,
    /// Under which key it is kept in this process when it holds.
    kept: Option<(String, Arc<View>)>,
    in_use: Option<Use>,
}

type Views = HashMap<String, (Arc<View>, Option<Use>)>;
static VIEWS: Mutex<Option<Views>> = Mutex::new(None);

/// The view of a policy, looked up once in this process: a thousand rollouts read the same hundred programs. What it
/// uses of the cache stays there until the process ends.
fn view_of(policy: &Policy, workspace: &Path) -> (Arc<View>, Looked) {
    let key = policy.sha256();
    let mut views = VIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_apart = |view: &View| view.tree.as_ref().is_none_or(|t| !t.root.starts_with(workspace));
    let known = views.get_or_insert_default().get(&key).filter(|(view, _)| is_apart(view));
    if let Some((view, _)) = known {
        return (view.clone(), Looked { doubt: None, kept: None, in_use: None });
    }
    let Prepared { view, in_use, doubt, .. } = View::look_up(policy, workspace);
    let view = Arc::new(view);
    (view.clone(), Looked { doubt, kept: Some((key, view)), in_use })
}

/// The record and the directory of a view that is known in this process.
fn known_view(policy: &Policy) -> Option<(RecordId, PathBuf)> {
    let views = VIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let (view, _) = views.as_ref()?.get(&policy.sha256())?;
    Some((RecordId::of(policy)?, view.tree.as_ref()?.root.clone()))
}

impl Looked {
    /// What the sandbox itself uses of the cache, if the host's files are still those of the view; that is then kept for the
    /// next time.
    fn held(self) -> Option<Option<Use>> {
        if self.doubt.is_some_and(|doubt| !doubt.is_unfounded()) {
            return None;
        }
        let Some((key, view)) = self.kept else { return Some(self.in_use) };
        let mut views = VIEWS.lock().unwrap_or_else(PoisonError::into_inner);
        views.get_or_insert_default().insert(key, (view, self.in_use));
        Some(None)
    }
}
