//! From policy to steps. Planning is pure: [`Plan::compile`] reads nothing and changes nothing, and what `sbx plan` prints
//! is what process 1 of the sandbox carries out, in this order.

mod encode;
mod step;

pub use step::Step;

use crate::linux::{landlock, seccomp};
use crate::policy::{Exec, Missing, Network};
use crate::proxy;
use crate::view::{PATH, SHELLS, Tree, View};
use crate::workspace::OBJECTS;
use crate::{Error, Host, Policy, Workspace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use step::{NODEV, NOEXEC, NOSUID, RDONLY};

/// The uid and gid of an action, whoever the caller is.
pub(crate) use crate::linux::wire::UID;

/// Where the agent's changes to the workspace gather, before the host is detached.
pub(crate) const UPPER: &str = "/layer/upper";
/// Signals that wait and timers of all processes of a sandbox (timer_create(2)).
const SIGNALS: u64 = 1024;
/// Memory that processes share by name (shm_open(3)).
pub(crate) const SHM: &str = "/dev/shm";
/// A gathered view has it, with places for what is mounted there.
pub(crate) const DEV: &str = "/dev";
/// The area behind `/tmp`, the home directory and `/dev/shm`. It lies in the file system of the root, of which nothing else is
/// writable: each file system costs a sandbox 16 KiB of the kernel's memory, and more where thousands are live.
const SCRATCH_DIR: &str = "/scratch";
/// Size and files of that file system where only `/dev/shm` is writable.
const SHM_BYTES: u64 = 64 << 20;
const SHM_INODES: u64 = 8_192;

const SEALED: u64 = RDONLY | NOSUID | NODEV | NOEXEC;
const SCRATCH: u64 = NOSUID | NODEV | NOEXEC;

/// Ordered operations that enforce a policy on a host, around one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What process 1 does, in order.
    #[serde(skip_deserializing)]
    pub steps: Vec<Step>,
    /// Walls that will stand, by name.
    pub enforced: Vec<String>,
    /// Walls that the policy asks for and this host does not have.
    pub missing: Vec<String>,
    /// Where the workspace appears.
    pub workspace: PathBuf,
    /// Environment of every action.
    pub env: BTreeMap<String, String>,
    /// Whether process 1 becomes a bash, from which the next script is forked, while nobody waits.
    pub works_ahead: bool,
}

impl Plan {
    /// Plans the walls. Pure: the view was resolved before, nothing is opened here.
    ///
    /// # Errors
    /// The workspace's place is not usable, or the host misses a wall and the policy says to refuse.
    pub fn compile(policy: &Policy, host: &Host, view: &View, workspace: &Workspace) -> Result<Plan, Error> {
        let at = workspace.at.clone().unwrap_or_else(|| workspace.lower.clone());
        check_place(&at, &workspace.lower)?;
        let mut build = Build { policy, host, steps: Vec::new() };
        build.view(view, workspace, &at);
        build.walls(view, workspace, &at);
        let (enforced, missing) = walls(policy, host);
        if policy.missing == Missing::Refuse && !missing.is_empty() {
            return Err(Error::MissingWall { missing: missing.join(", ") });
        }
        let env = environment(policy, &at);
        let works_ahead = view.tree.as_ref().is_some_and(|t| t.has_ahead);
        Ok(Plan { steps: build.steps, enforced, missing, env, workspace: at, works_ahead })
    }

    /// The steps as process 1 reads them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode::encode(&self.steps)
    }
}

pub(crate) fn check_place(at: &Path, lower: &Path) -> Result<(), Error> {
    let fault = |why: &str| Err(Error::Workspace { path: at.display().to_string(), why: why.into() });
    if !at.is_absolute() || at.components().any(|c| c.as_os_str() == "..") {
        return fault("expected an absolute path without \"..\"");
    }
    const TAKEN: [&str; 13] = [
        "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/.sbx", "/old", "/new",
        "/lib32",
    ];
    if at == Path::new("/")
        || TAKEN.iter().any(|t| at.starts_with(t))
        || at == Path::new("/tmp")
        || at == Path::new("/home")
    {
        return fault("that place belongs to the system; choose another, such as /workspace");
    }
    if lower.as_os_str().as_encoded_bytes().contains(&b'\n') {
        return fault("a path with a line break cannot be mounted");
    }
    Ok(())
}

/// Names of the walls, as in every observation.
fn walls(policy: &Policy, host: &Host) -> (Vec<String>, Vec<String>) {
    let mut enforced: Vec<String> =
        ["user", "mount", "pid", "net", "ipc", "uts", "cgroup", "caps", "seccomp"].map(String::from).to_vec();
    let mut missing = Vec::new();
    if policy.exec == Exec::None {
        enforced.push("noexec".into());
    }
    if host.landlock > 0 {
        enforced.push(format!("landlock:{}", host.landlock));
        missing
            .extend(landlock::lost(host.landlock).into_iter().filter(|_| policy.missing == Missing::Report));
    } else {
        missing.push("landlock".into());
    }
    enforced.extend(host.cgroup.names());
    if host.cgroup.memory.is_none() {
        enforced.push("rlimit:memory".into());
    }
    if host.cgroup.pids.is_none() {
        if host.uid == 0 {
            // RLIMIT_NPROC does not hold for root, whatever the user namespace.
            missing.push("processes".into());
        } else {
            enforced.push("rlimit:processes".into());
        }
    }
    (enforced, missing)
}

/// The environment of every action under a policy, with the workspace at this place.
pub fn environment(policy: &Policy, workspace: &Path) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", PATH),
        ("HOME", "/home/agent"),
        ("USER", "agent"),
        ("LOGNAME", "agent"),
        ("SHELL", "/bin/bash"),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("TERM", "dumb"),
        ("PAGER", "cat"),
        ("MANPAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("TMPDIR", "/tmp"),
    ]
    .map(|(k, v)| (k.into(), v.into()))
    .into();
    if policy.network == Network::Proxy {
        let proxy = format!("http://127.0.0.1:{}", proxy::PORT);
        for key in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            env.insert(key.into(), proxy.clone());
        }
        for key in ["no_proxy", "NO_PROXY"] {
            env.insert(key.into(), "localhost,127.0.0.1".into());
        }
    }
    env.insert("SBX_WORKSPACE".into(), workspace.to_string_lossy().into_owned());
    env.extend(policy.env.clone());
    env
}

/// Git's system configuration inside: nothing of it runs a program, and a checkout of another owner is fine.
const GITCONFIG: &str = "\
[safe]
\tdirectory = *
[user]
\tname = agent
\temail = agent@sbx.invalid
[core]
\tfsmonitor = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[protocol \"ext\"]
\tallow = never
[advice]
\tdetachedHead = false
";

/// What is in [`DEV`] besides [`SHM`].
pub(crate) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
pub(crate) const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// The files of `/etc` that are the sandbox's own: path and content.
pub fn etc_files() -> [(&'static str, String); 5] {
    [
        (
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/root:/bin/sh\nagent:x:{UID}:{UID}:agent:/home/agent:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n"
            ),
        ),
        ("/etc/group", format!("root:x:0:\nagent:x:{UID}:\nnogroup:x:65534:\n")),
        ("/etc/hosts", "127.0.0.1 localhost sbx\n::1 localhost\n".into()),
        ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".into()),
        ("/etc/gitconfig", GITCONFIG.into()),
    ]
}

struct Build<'a> {
    policy: &'a Policy,
    host: &'a Host,
    steps: Vec<Step>,
}

/// A path of the host, seen from inside the first root.
fn old(path: &Path) -> PathBuf {
    under("/old", path)
}

fn new(path: impl AsRef<Path>) -> PathBuf {
    under("/new", path.as_ref())
}

pub(crate) fn under(top: impl AsRef<Path>, path: &Path) -> PathBuf {
    top.as_ref().join(path.strip_prefix("/").unwrap_or(path))
}

impl Build<'_> {
    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn bind(&mut self, from: &Path, at: &Path, flags: u64, directory: bool) {
        self.push(Step::Bind {
            from: old(from),
            at: new(at),
            flags,
            directory,
            is_there: false,
            optional: false,
        });
    }

    fn scratch_flags(&self) -> u64 {
        if self.policy.exec == Exec::Workspace { SCRATCH & !NOEXEC } else { SCRATCH }
    }

    /// Everything that is to exist, mount by mount.
    fn view(&mut self, view: &View, workspace: &Workspace, at: &Path) {
        let limits = &self.policy.limits;
        let (bytes, inodes) = (limits.workspace.0, limits.inodes);
        let (base_bytes, base_inodes) =
            if self.policy.write_tmp { (bytes, inodes) } else { (SHM_BYTES, SHM_INODES) };
        let cover = self.host.cover.as_ref().into();
        self.push(Step::Base { cover, bytes: base_bytes, inodes: base_inodes });
        for (link, target) in &view.links {
            // A top directory that is a link on the host is one here.
            if link.parent() == Some(Path::new("/")) {
                self.push(Step::Symlink { target: target.clone(), at: new(link) });
            }
        }
        // Gathered files come first: what is bound by itself has its place in them.
        let tree = view.tree.as_ref();
        for top in tree.iter().flat_map(|t| &t.tops) {
            let root = tree.map_or(Path::new("/"), |t| t.root.as_path());
            let flags = if top == Path::new("/etc") { SEALED } else { SEALED & !NOEXEC };
            self.bind(&under(root, top), top, flags, true);
        }
        if let Some(tree) = tree {
            // Places for the devices, and the links.
            self.bind(&under(&tree.root, Path::new(DEV)), Path::new(DEV), SEALED, true);
        }
        let is_gathered = |at: &Path| tree.is_some_and(|t| t.holds(view, at));
        // Parents before children: a later mount would hide an earlier one below it.
        let mut binds: Vec<_> = view.binds().filter(|(at, ..)| !is_gathered(at)).collect();
        binds.sort_by_key(|(at, ..)| at.components().count());
        for (at, from, executable) in binds {
            let flags = if executable { SEALED & !NOEXEC } else { SEALED };
            // The loader maps libraries executable, which noexec forbids.
            let flags = if is_library(at) || may_hold_code(from) || view.code.contains(at) {
                flags & !NOEXEC
            } else {
                flags
            };
            let directory = view.directories.contains(at);
            let is_there = tree.is_some_and(|t| t.tops.iter().any(|top| at.starts_with(top)));
            self.push(Step::Bind {
                from: old(from),
                at: new(at),
                flags,
                directory,
                is_there,
                optional: false,
            });
        }
        for (link, target) in view.links.iter().filter(|(l, _)| l.parent() != Some(Path::new("/"))) {
            if !is_gathered(link) {
                self.push(Step::Symlink { target: target.clone(), at: new(link) });
            }
        }
        if !is_gathered(Path::new("/etc/passwd")) {
            for (at, content) in etc_files() {
                self.push(Step::File { at: new(at), content });
            }
        }
        self.dev(tree);
        self.proc();
        let scratch = self.scratch_flags();
        for (dir, place, mode, flags) in [
            ("/scratch/tmp", "/tmp", 0o1777, scratch),
            ("/scratch/home", "/home/agent", 0o755, scratch),
            ("/scratch/shm", SHM, 0o1777, SCRATCH),
        ] {
            if !self.policy.write_tmp && place != SHM {
                self.push(Step::Mkdir { at: new(place), mode: 0o755 });
                continue;
            }
            self.push(Step::Mkdir { at: dir.into(), mode });
            self.push(Step::Bind {
                from: dir.into(),
                at: new(place),
                flags,
                directory: true,
                is_there: false,
                optional: false,
            });
        }
        if let Some(objects) = &workspace.objects {
            self.bind(objects, Path::new(OBJECTS), SEALED, true);
        }
        // The lower directory is bound first, by descriptor: the overlay then names a path of ours, not of the host.
        self.push(Step::Bind {
            from: old(&workspace.lower),
            at: "/lower".into(),
            flags: SEALED,
            directory: true,
            is_there: false,
            optional: false,
        });
        if self.policy.write_workspace {
            self.push(Step::Tmpfs { at: "/layer".into(), bytes, inodes, mode: 0o755, flags: SCRATCH });
            for dir in ["/layer/upper", "/layer/work"] {
                self.push(Step::Mkdir { at: dir.into(), mode: 0o755 });
            }
            let (lower, upper, work) = ("/lower".into(), "/layer/upper".into(), "/layer/work".into());
            self.push(Step::Overlay { at: new(at), lower, upper, work, flags: scratch });
            self.push(Step::Hand { dir: UPPER.into() });
        } else {
            self.push(Step::Bind {
                from: "/lower".into(),
                at: new(at),
                flags: SEALED,
                directory: true,
                is_there: false,
                optional: false,
            });
        }
        if self.policy.write_tmp {
            self.push(Step::Hand { dir: SCRATCH_DIR.into() });
        }
        self.push(Step::Attributes { at: "/new".into(), flags: SEALED });
        self.push(Step::Enter);
    }

    fn dev(&mut self, tree: Option<&Tree>) {
        let dev = Path::new(DEV);
        for name in DEVICES {
            let (from, at) = (old(&dev.join(name)), new(dev.join(name)));
            let (flags, is_there) = (NOSUID | NOEXEC, tree.is_some());
            self.push(Step::Bind { from, at, flags, directory: false, is_there, optional: false });
        }
        for (at, target) in DEVICE_LINKS.iter().filter(|_| tree.is_none()) {
            self.push(Step::Symlink { target: target.into(), at: new(dev.join(at)) });
        }
    }

    fn proc(&mut self) {
        // In a container whose own /proc is masked the kernel gives no whole one.
        let optional = self.policy.missing == Missing::Report;
        self.push(Step::Proc { at: new("/proc"), optional });
        // Settings can be read but not written: root of the host owns them, and the caller may be root.
        self.push(Step::Bind {
            from: new("/proc/sys"),
            at: new("/proc/sys"),
            flags: SEALED,
            directory: true,
            is_there: true,
            optional,
        });
        // What else /proc tells about the host, or does to it.
        for name in ["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "pressure", "scsi"] {
            self.push(Step::Mask { at: new(Path::new("/proc").join(name)), directory: true });
        }
        for name in [
            "config.gz",
            "interrupts",
            "kallsyms",
            "kcore",
            "key-users",
            "keys",
            "kmsg",
            "kpagecgroup",
            "kpagecount",
            "kpageflags",
            "latency_stats",
            "sched_debug",
            "slabinfo",
            "sysrq-trigger",
            "timer_list",
            "timer_stats",
            "vmallocinfo",
        ] {
            self.push(Step::Mask { at: new(Path::new("/proc").join(name)), directory: false });
        }
    }

    /// The walls proper, from the inside: nothing after [`Step::Seccomp`].
    fn walls(&mut self, view: &View, workspace: &Workspace, at: &Path) {
        let limits = &self.policy.limits;
        let (cgroup, uid) = (self.host.cgroup.clone(), self.host.uid);
        self.push(Step::Hostname { name: "sbx".into() });
        let mut limit = |resource, number, value| self.steps.push(Step::Limit { resource, number, value });
        limit("core", libc::RLIMIT_CORE, 0);
        limit("nofile", libc::RLIMIT_NOFILE, u64::from(limits.files));
        limit("memlock", libc::RLIMIT_MEMLOCK, 64 << 10);
        limit("msgqueue", libc::RLIMIT_MSGQUEUE, 0);
        // Counted for the caller too: without this, one action leaves him and his other sandboxes no signals and timers.
        limit("sigpending", libc::RLIMIT_SIGPENDING, SIGNALS);
        limit("fsize", libc::RLIMIT_FSIZE, limits.workspace.0);
        if cgroup.memory.is_none() {
            limit("data", libc::RLIMIT_DATA, limits.memory.0);
        }
        if cgroup.pids.is_none() && uid != 0 {
            // Counted in the new user namespace: process 1 and the action's own.
            limit("nproc", libc::RLIMIT_NPROC, u64::from(limits.processes) + 1);
        }
        self.push(Step::NoNewPrivs);
        self.landlock(view, workspace, at);
        // Late: it may be made meanwhile. Making and entering it takes privileges.
        self.push(Step::Network);
        if self.policy.network != Network::None {
            self.push(Step::Loopback);
        }
        if self.policy.network == Network::Proxy {
            self.push(Step::Listen { port: proxy::PORT });
        }
        self.push(Step::Capabilities);
        let program = seccomp::program(self.policy.network);
        self.push(Step::Seccomp { instructions: program.len() / 8, program });
    }

    fn landlock(&mut self, view: &View, workspace: &Workspace, place: &Path) {
        let abi = self.host.landlock;
        if abi == 0 {
            return;
        }
        let handled = landlock::handled_fs(abi);
        let net = if self.policy.network == Network::None { landlock::handled_net(abi) } else { 0 };
        self.push(Step::Landlock { fs: handled, net, scopes: landlock::scopes(abi) });
        let mut rule =
            |at: &Path, rights: u64| self.steps.push(Step::Rule { at: at.into(), rights: rights & handled });
        let read = landlock::READ_FILE | landlock::READ_DIR;
        rule(Path::new("/"), landlock::READ_DIR);
        let code = landlock::READ_FILE | landlock::EXECUTE;
        // A gathered directory holds nothing but the view, so one rule says it for all that is in it.
        for at in view.tree.iter().flat_map(|t| t.whole()) {
            rule(at, code);
        }
        for top in view.tree.iter().flat_map(|t| &t.tops) {
            rule(top, landlock::READ_FILE);
        }
        for at in view.programs.keys().chain(view.loaders.keys()) {
            rule(at, code);
        }
        for at in view.libraries.keys() {
            rule(at, landlock::READ_FILE);
        }
        // What lies in a gathered directory can be read by that one's rule, and listed by the root's.
        let is_readable = |at: &Path| view.tree.iter().flat_map(|t| &t.tops).any(|top| at.starts_with(top));
        for at in view.data.keys() {
            let run = if view.code.contains(at) { landlock::EXECUTE } else { 0 };
            if run != 0 || !is_readable(at) {
                rule(at, run | if view.directories.contains(at) { read } else { landlock::READ_FILE });
            }
        }
        for at in ["/etc", "/proc"].map(Path::new) {
            if !is_readable(at) {
                rule(at, read);
            }
        }
        for name in DEVICES {
            let rights =
                landlock::READ_FILE | landlock::WRITE_FILE | landlock::TRUNCATE | landlock::IOCTL_DEV;
            rule(&Path::new("/dev").join(name), rights & landlock::ON_FILE);
        }
        let code = if self.policy.exec == Exec::Workspace { landlock::EXECUTE } else { 0 };
        rule(Path::new(SHM), landlock::WRITABLE);
        for (at, writable) in [
            (Path::new("/tmp"), self.policy.write_tmp),
            (Path::new("/home/agent"), self.policy.write_tmp),
            (place, self.policy.write_workspace),
        ] {
            rule(at, if writable { landlock::WRITABLE | code } else { read });
        }
        if workspace.objects.is_some() {
            rule(Path::new(OBJECTS), read);
        }
        self.push(Step::Restrict);
    }
}

/// Whether the loader may map code from here.
fn is_library(at: &Path) -> bool {
    at.starts_with("/usr/lib")
        || at.starts_with("/lib")
        || at.starts_with("/lib64")
        || at.starts_with("/usr/lib64")
}

/// Data directories such as a language's library hold extension modules, which are mapped executable.
fn may_hold_code(from: &Path) -> bool {
    from.starts_with("/usr/lib") || from.starts_with("/usr/local/lib") || from.starts_with(SHELLS)
}
