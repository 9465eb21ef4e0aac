//! What a sandbox sees at first: the workspace, `/tmp`, a home directory, some devices, the names of the programs, and
//! the few files of `/etc` that tools look for. Nothing of the host but the workspace.

use super::area::Area;
use super::clock::Clock;
use super::file::{File, Meta};
use super::lower::Lower;
use super::names::{Body, Dir, Id, Names, Origin};
use super::stat::Kind;
use rustix::io::Errno;
use sbx_runtime::{Clock as Granted, Error, OBJECTS, Policy, Workspace};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The agent's home directory.
const HOME: &str = "/home/agent";
/// What a process reads of itself.
const STATUS: &str = "Name:\tbash\nUmask:\t0022\nState:\tR (running)\nTgid:\t2\nPid:\t2\nPPid:\t1\nTracerPid:\t0\n\
    Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nThreads:\t1\nCapEff:\t0000000000000000\n\
    NoNewPrivs:\t1\n";
/// What an executable of the view holds: nothing of it is ever loaded.
const PROGRAM: &[u8] = b"\0sbx: a command of the sandbox\n";

/// The tree, its two areas, and the workspace's place in it.
pub(super) struct View {
    pub names: Names,
    pub workspace: Area,
    pub scratch: Area,
    pub lower: Arc<Lower>,
    pub objects: Option<Arc<Lower>>,
    pub top: Id,
    pub at: Vec<u8>,
}

/// Builds the view. The workspace's paths are resolved already.
pub(super) fn build(
    workspace: &Workspace,
    policy: &Policy,
    programs: &mut dyn Iterator<Item = &str>,
) -> Result<View, Error> {
    let fault = |path: &Path| {
        let path = path.display().to_string();
        move |e: Errno| Error::Workspace { path, why: std::io::Error::from(e).to_string() }
    };
    let open = |path: &Path| Lower::open(path).map(Arc::new).map_err(fault(path));
    let lower = open(workspace.lower())?;
    let objects = workspace.objects_dir().map(open).transpose()?;
    let (bytes, inodes) = (policy.limits.workspace.0, policy.limits.inodes);
    let clock = match policy.clock {
        Granted::Real => Clock::default(),
        Granted::Workspace => Clock::from(newest(&lower)),
    };
    let [area, scratch] = [(); 2].map(|()| Area::new(bytes, inodes, clock));
    let at = workspace.place().to_path_buf();
    let mut build = Build { names: Names::new(clock) };
    let mut fill = || -> Result<Id, Errno> {
        build.fixed(programs)?;
        let tmp = policy.write_tmp.then_some(&scratch);
        build.mount("/tmp", if tmp.is_some() { 0o1777 } else { 0o755 }, tmp)?;
        build.mount(HOME, 0o755, tmp)?;
        build.mount("/dev/shm", 0o1777, Some(&scratch))?;
        if let Some(objects) = &objects {
            build.lower(Path::new(OBJECTS), objects, None)?;
        }
        build.lower(&at, &lower, policy.write_workspace.then_some(&area))
    };
    let top = fill().map_err(fault(&at))?;
    let at = at.as_os_str().as_bytes().to_vec();
    Ok(View { names: build.names, workspace: area, scratch, lower, objects, top, at })
}

/// The newest of the times that are looked at first in a workspace.
fn newest(lower: &Lower) -> SystemTime {
    let times = [&b""[..], b".git", b".git/index"].into_iter().filter_map(|path| lower.stat(path).ok());
    times.map(|found| found.mtime).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

struct Build {
    names: Names,
}

impl Build {
    fn fixed(&mut self, programs: &mut dyn Iterator<Item = &str>) -> Result<(), Errno> {
        let bin = self.directory(Path::new("/usr/bin"))?;
        for name in programs {
            self.file(bin, name.as_bytes(), 0o755, PROGRAM)?;
        }
        let root = self.directory(Path::new("/"))?;
        self.link(root, b"bin", b"usr/bin")?;
        let dev = self.directory(Path::new("/dev"))?;
        let devices = [
            ("null", Kind::Null),
            ("zero", Kind::Zero),
            ("full", Kind::Full),
            ("random", Kind::Random),
            ("urandom", Kind::Random),
        ];
        for (name, kind) in devices {
            let mut meta = self.names.meta(0o666);
            meta.own = false;
            let id = self.names.add(meta, None, Body::Device(kind));
            self.names.enter(dev, name.as_bytes(), id)?;
        }
        let etc = self.directory(Path::new("/etc"))?;
        for (path, content) in sbx_runtime::etc_files() {
            let name = path.trim_start_matches("/etc/");
            self.file(etc, name.as_bytes(), 0o644, content.as_bytes())?;
        }
        let own = self.directory(Path::new("/proc/self"))?;
        self.file(own, b"comm", 0o644, b"bash\n")?;
        self.link(own, b"exe", b"/usr/bin/bash")?;
        self.file(own, b"status", 0o444, STATUS.as_bytes())
    }

    fn file(&mut self, dir: Id, name: &[u8], mode: u32, bytes: &[u8]) -> Result<(), Errno> {
        let mut meta = self.names.meta(mode);
        meta.own = false;
        let file = Arc::new(File::fixed(meta.clone(), bytes));
        let id = self.names.add(meta, None, Body::File { file, origin: None });
        self.names.enter(dir, name, id)
    }

    fn link(&mut self, dir: Id, name: &[u8], target: &[u8]) -> Result<(), Errno> {
        let meta = self.names.meta(0o777);
        let id = self.names.add(meta, None, Body::Link { target: target.to_vec(), origin: None });
        self.names.enter(dir, name, id)
    }

    /// A directory that cannot be changed, with those on the way to it.
    fn directory(&mut self, path: &Path) -> Result<Id, Errno> {
        let mut dir = Names::ROOT;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else { continue };
            let name = name.as_bytes();
            dir = match self.names.dir(dir)?.entries.get(name) {
                Some(Some(id)) => *id,
                _ => {
                    let mut meta = self.names.meta(0o755);
                    let area = self.names.node(dir)?.area.clone();
                    meta.own = area.is_some();
                    let id = self.names.add(meta, area, Body::Dir(Dir::default()));
                    // What leads to a mount stays, as the mount itself.
                    self.names.node_mut(id)?.mount = true;
                    self.names.enter(dir, name, id)?;
                    id
                }
            };
        }
        Ok(dir)
    }

    /// An empty directory in an area, or one that cannot be changed.
    fn mount(&mut self, path: &str, mode: u32, area: Option<&Area>) -> Result<(), Errno> {
        let id = self.directory(Path::new(path))?;
        let node = self.names.node_mut(id)?;
        (node.meta.mode, node.meta.own, node.area) = (mode, true, area.cloned());
        Ok(())
    }

    /// A directory of the host.
    fn lower(&mut self, path: &Path, lower: &Arc<Lower>, area: Option<&Area>) -> Result<Id, Errno> {
        let id = self.directory(path)?;
        let origin = Origin { lower: lower.clone(), path: Vec::new() };
        let (found, now) = (lower.stat(b"")?, self.names.clock.now());
        let node = self.names.node_mut(id)?;
        (node.meta, node.area) = (Meta::lower(&found), area.cloned());
        if area.is_some() {
            // What lies over the host's directory is made now, as in an overlay.
            (node.meta.mtime, node.meta.ctime) = (now, now);
        }
        node.body = Body::Dir(Dir::over(origin, &found));
        Ok(id)
    }
}
