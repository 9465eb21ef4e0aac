//! The agent's file system, with the names of the system calls that it stands for.

use super::area::Area;
use super::clock::Clock;
use super::fifo::Fifo;
use super::file::{File, Meta};
use super::handle::Handle;
use super::lower::Lower;
use super::names::{Body, Child, Dir, Id, Names};
use super::stat::{Kind, Open, Stat};
use super::view::{self, View};
use super::walk::{Spot, walk};
use rustix::io::Errno;
use sbx_runtime::{Error, Policy, Workspace};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Largest target of a link, in bytes.
const MAX_TARGET: usize = 4095;

/// A sandbox's files: the workspace at its place, `/tmp`, a home directory and some devices. The host's directory is
/// never written. Clones share it.
///
/// ```
/// use sbx_wasi::{Budget, Open, Tree};
/// let dir = tempfile::tempdir()?;
/// let policy = sbx_runtime::Policy::preset("whitelist")?;
/// let workspace = sbx_runtime::Workspace::new(dir.path()).at("/workspace");
/// let tree = Tree::over(&workspace, &policy, &["ls"])?;
/// let budget = Budget::new(std::time::Duration::from_secs(1), 0, 1);
/// tree.open(b"/workspace", b"note", Open::create(0o644))?.write(b"done", &budget)?;
/// assert_eq!(tree.stat(b"/", b"workspace/note", true)?.size, 4);
/// assert!(!dir.path().join("note").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tree(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    names: Mutex<Names>,
    workspace: Area,
    scratch: Area,
    lower: Arc<Lower>,
    objects: Option<Arc<Lower>>,
    top: Id,
    at: Vec<u8>,
    clock: Clock,
}

impl Tree {
    /// The view that a policy gives of a workspace; `programs` appear in `/usr/bin`.
    ///
    /// # Errors
    /// The workspace or its object directory cannot be opened.
    pub fn over(workspace: &Workspace, policy: &Policy, programs: &[&str]) -> Result<Tree, Error> {
        let View { names, workspace, scratch, lower, objects, top, at } =
            view::build(workspace, policy, &mut programs.iter().copied())?;
        let clock = names.clock;
        let names = Mutex::new(names);
        Ok(Tree(Arc::new(Shared { names, workspace, scratch, lower, objects, top, at, clock })))
    }

    /// What time it is, as the policy's `clock` says.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Where the workspace appears.
    pub fn workspace(&self) -> &[u8] {
        &self.0.at
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a path.
    ///
    /// # Errors
    /// As `stat(2)`, or `lstat(2)` without `follow`.
    pub fn stat(&self, cwd: &[u8], path: &[u8], follow: bool) -> Result<Stat, Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, follow)?;
        match &spot.child {
            Some(child) => stat(&names, child),
            None if spot.name.is_none() => names.stat(spot.dir()),
            None => Err(Errno::NOENT),
        }
    }

    /// Whether the agent has these rights to a path (4 read, 2 write, 1 execute).
    ///
    /// # Errors
    /// As `access(2)`: `EACCES`, or `EROFS` for writing.
    pub fn access(&self, cwd: &[u8], path: &[u8], rights: u32) -> Result<(), Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, true)?;
        let (stat, area) = match &spot.child {
            Some(child @ Child::Node(id)) => (stat(&names, child)?, names.node(*id)?.area.is_some()),
            Some(child) => (stat(&names, child)?, names.node(spot.dir())?.area.is_some()),
            None if spot.name.is_none() => (names.stat(spot.dir())?, names.node(spot.dir())?.area.is_some()),
            None => return Err(Errno::NOENT),
        };
        if rights & 2 != 0 && !area && !stat.kind.is_device() {
            return Err(Errno::ROFS);
        }
        if stat.allows(rights) { Ok(()) } else { Err(Errno::ACCESS) }
    }

    /// Opens a file, device or directory.
    ///
    /// # Errors
    /// As `openat(2)`.
    pub fn open(&self, cwd: &[u8], path: &[u8], how: Open) -> Result<Handle, Errno> {
        let mut names = self.lock();
        let follow = !(how.nofollow || how.create && how.exclusive);
        let mut spot = walk(&mut names, cwd, path, follow)?;
        if spot.name.is_none() || matches!(&spot.child, Some(child) if kind(&names, child)? == Kind::Dir) {
            return open_directory(&names, &spot, how);
        }
        let Some(child) = &spot.child else {
            return if how.create { self.create(&mut names, &spot, how) } else { Err(Errno::NOENT) };
        };
        if how.create && how.exclusive {
            return Err(Errno::EXIST);
        }
        let found = stat(&names, child)?;
        if how.directory {
            return Err(if found.kind == Kind::Link { Errno::LOOP } else { Errno::NOTDIR });
        }
        if let Some(device) = Handle::device(found.kind) {
            return Ok(device);
        }
        if let (Kind::Fifo, Child::Node(id)) = (found.kind, child)
            && let Body::Pipe(fifo) = &names.node(*id)?.body
        {
            let writes = how.write || how.append;
            let allowed = found.allows(if how.read { 4 } else { 0 } | if writes { 2 } else { 0 });
            return if allowed { Ok(Handle::fifo(fifo.open(how.read, writes))) } else { Err(Errno::ACCESS) };
        }
        match found.kind {
            Kind::File => {}
            Kind::Link => return Err(Errno::LOOP),
            _ => return Err(Errno::NXIO),
        }
        let writes = how.write || how.append || how.truncate;
        let rights = if how.read { 4 } else { 0 } | if writes { 2 } else { 0 };
        if writes && names.node(spot.dir())?.area.is_none() {
            return Err(Errno::ROFS);
        }
        if !found.allows(rights) {
            return Err(Errno::ACCESS);
        }
        let file = match (&spot.child, writes) {
            // Only read: it need not be kept.
            (Some(Child::Lower(found, origin)), false) => {
                Arc::new(File::lower(found, origin.lower.clone(), origin.path.clone(), None))
            }
            _ => {
                let id = spot.kept(&mut names)?;
                match &names.node(id)?.body {
                    Body::File { file, .. } => file.clone(),
                    _ => return Err(Errno::NXIO),
                }
            }
        };
        drop(names);
        if writes && file.is_read_only() {
            return Err(Errno::ROFS);
        }
        if how.truncate {
            file.set_len(0)?;
        }
        Handle::file(file, how.read, how.write || how.append, how.append)
    }

    fn create(&self, names: &mut Names, spot: &Spot, how: Open) -> Result<Handle, Errno> {
        if how.directory {
            return Err(Errno::INVAL);
        }
        if spot.as_directory {
            return Err(Errno::ISDIR);
        }
        let (dir, area, name) = room(names, spot)?;
        let meta = names.meta(how.mode & 0o7777);
        let file = Arc::new(File::new(meta.clone(), area.clone())?);
        let id = names.make(meta, &area, Body::File { file: file.clone(), origin: None })?;
        names.enter(dir, &name, id)?;
        Handle::file(file, how.read, how.write || how.append, how.append)
    }

    /// Names and kinds in a directory, without `.` and `..`: the host's in its order, then what was made here, newest first, as in
    /// a native sandbox.
    ///
    /// # Errors
    /// As `opendir(3)`.
    pub fn list(&self, cwd: &[u8], path: &[u8]) -> Result<Vec<(Vec<u8>, Kind)>, Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, true)?;
        let dir = directory(&names, &spot)?;
        if !names.node(dir)?.meta.allows(4) {
            return Err(Errno::ACCESS);
        }
        names.list(dir)
    }

    /// Makes a directory with these permission bits, after the umask.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub fn make_dir(&self, cwd: &[u8], path: &[u8], mode: u32) -> Result<(), Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, false)?;
        if spot.child.is_some() || spot.name.is_none() {
            return Err(Errno::EXIST);
        }
        let (dir, area, name) = room(&names, &spot)?;
        let meta = names.meta(mode & 0o1777);
        let id = names.make(meta, &area, Body::Dir(Dir::default()))?;
        names.enter(dir, &name, id)
    }

    /// Makes a named pipe with these permission bits, after the umask.
    ///
    /// # Errors
    /// As `mkfifo(3)`.
    pub fn make_pipe(&self, cwd: &[u8], path: &[u8], mode: u32) -> Result<(), Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, false)?;
        if spot.child.is_some() || spot.name.is_none() {
            return Err(Errno::EXIST);
        }
        let (dir, area, name) = room(&names, &spot)?;
        let meta = names.meta(mode & 0o777);
        let id = names.make(meta, &area, Body::Pipe(Fifo::default()))?;
        names.enter(dir, &name, id)
    }

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// As `unlink(2)`.
    pub fn remove_file(&self, cwd: &[u8], path: &[u8]) -> Result<(), Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, false)?;
        let Some(name) = spot.name.clone() else { return Err(Errno::ISDIR) };
        let child = spot.child.as_ref().ok_or(Errno::NOENT)?;
        if kind(&names, child)? == Kind::Dir {
            return Err(Errno::ISDIR);
        }
        if spot.as_directory {
            return Err(Errno::NOTDIR);
        }
        names.may(spot.dir(), 3)?;
        if let Child::Node(id) = child
            && let Body::File { file, .. } = &names.node(*id)?.body
        {
            file.relink(|n| *n = n.saturating_sub(1));
        }
        names.leave(spot.dir(), &name, true)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As `rmdir(2)`.
    pub fn remove_dir(&self, cwd: &[u8], path: &[u8]) -> Result<(), Errno> {
        let mut names = self.lock();
        if path.ends_with(b"/.") || path == b"." {
            return Err(Errno::INVAL);
        }
        let spot = walk(&mut names, cwd, path, false)?;
        let Some(name) = spot.name.clone() else { return Err(Errno::BUSY) };
        let id = match spot.child.as_ref().ok_or(Errno::NOENT)? {
            Child::Node(id) if names.kind(*id)? == Kind::Dir => *id,
            _ => return Err(Errno::NOTDIR),
        };
        self.remove_empty(&mut names, spot.dir(), &name, id)
    }

    fn remove_empty(&self, names: &mut Names, dir: Id, name: &[u8], id: Id) -> Result<(), Errno> {
        names.may(dir, 3)?;
        if names.node(id)?.mount {
            return Err(Errno::BUSY);
        }
        if !names.list(id)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        names.leave(dir, name, true)
    }

    /// Gives something another name; what has that name goes, as far as `rename(2)` allows it.
    ///
    /// # Errors
    /// As `rename(2)`; it goes between the workspace and other writable places too.
    pub fn rename(&self, cwd: &[u8], from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let mut names = self.lock();
        let mut old = walk(&mut names, cwd, from, false)?;
        if old.child.is_none() && old.name.is_some() {
            return Err(Errno::NOENT);
        }
        let new = walk(&mut names, cwd, to, false)?;
        let (Some(old_name), Some(new_name)) = (old.name.clone(), new.name.clone()) else {
            return Err(Errno::BUSY);
        };
        let (old_dir, new_dir) = (old.dir(), new.dir());
        names.may(old_dir, 3)?;
        names.may(new_dir, 3)?;
        let id = old.kept(&mut names)?;
        let is_dir = names.kind(id)? == Kind::Dir;
        if names.node(id)?.mount {
            return Err(Errno::BUSY);
        }
        if is_dir && new.is_beneath(id) {
            return Err(Errno::INVAL);
        }
        if !is_dir && new.as_directory {
            return Err(if new.child.is_some() { Errno::NOTDIR } else { Errno::NOENT });
        }
        let new_area = match (&names.node(old_dir)?.area, &names.node(new_dir)?.area) {
            (Some(old), Some(new)) => (!old.is_same(new)).then(|| new.clone()),
            _ => return Err(Errno::XDEV),
        };
        // Looked at again: taking the first one into the table may have made a node of the second.
        match names.child(new_dir, &new_name)? {
            None => {}
            Some(Child::Node(there)) if there == id => return Ok(()),
            Some(there) => {
                let over_dir = kind(&names, &there)? == Kind::Dir;
                match (is_dir, over_dir, there) {
                    (true, false, _) => return Err(Errno::NOTDIR),
                    (false, true, _) => return Err(Errno::ISDIR),
                    (true, true, Child::Node(there)) => {
                        self.remove_empty(&mut names, new_dir, &new_name, there)?;
                    }
                    (_, _, there) => {
                        if let Child::Node(there) = there
                            && let Body::File { file, .. } = &names.node(there)?.body
                        {
                            file.relink(|n| *n = n.saturating_sub(1));
                        }
                        names.leave(new_dir, &new_name, true)?;
                    }
                }
            }
        }
        names.detach(id, 0)?;
        if let Some(area) = new_area {
            // Commands that move something to another file system copy it; here they need not.
            names.transfer(id, &area, 0)?;
        }
        names.leave(old_dir, &old_name, false)?;
        names.enter(new_dir, &new_name, id)
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// As `link(2)`.
    pub fn link(&self, cwd: &[u8], from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let mut names = self.lock();
        let mut old = walk(&mut names, cwd, from, false)?;
        let new = walk(&mut names, cwd, to, false)?;
        if new.child.is_some() || new.name.is_none() {
            return Err(Errno::EXIST);
        }
        let id = old.kept(&mut names)?;
        let (dir, area, name) = room(&names, &new)?;
        let node = names.node(id)?;
        if matches!(node.body, Body::Dir(_)) {
            return Err(Errno::PERM);
        }
        if !node.area.as_ref().is_some_and(|own| own.is_same(&area)) {
            return Err(Errno::XDEV);
        }
        names.detach(id, 0)?;
        if let Body::File { file, .. } = &names.node(id)?.body {
            file.relink(|n| *n += 1);
        }
        names.enter(dir, &name, id)
    }

    /// Makes a symbolic link that holds `target`, wherever that leads.
    ///
    /// # Errors
    /// As `symlink(2)`.
    pub fn symlink(&self, cwd: &[u8], target: &[u8], path: &[u8]) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.len() > MAX_TARGET {
            return Err(Errno::NAMETOOLONG);
        }
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, false)?;
        if spot.child.is_some() || spot.name.is_none() {
            return Err(Errno::EXIST);
        }
        if spot.as_directory {
            return Err(Errno::NOENT);
        }
        let (dir, area, name) = room(&names, &spot)?;
        let meta = names.meta(0o777);
        let id = names.make(meta, &area, Body::Link { target: target.to_vec(), origin: None })?;
        names.enter(dir, &name, id)
    }

    /// What a symbolic link holds.
    ///
    /// # Errors
    /// As `readlink(2)`.
    pub fn read_link(&self, cwd: &[u8], path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, false)?;
        match &spot.child {
            Some(Child::Node(id)) => match &names.node(*id)?.body {
                Body::Link { target, .. } => Ok(target.clone()),
                _ => Err(Errno::INVAL),
            },
            Some(Child::Lower(found, origin)) if Kind::of(found.kind) == Kind::Link => {
                origin.lower.link(&origin.path)
            }
            None if spot.name.is_some() => Err(Errno::NOENT),
            _ => Err(Errno::INVAL),
        }
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// As `chmod(2)`; a link has no mode of its own.
    pub fn set_mode(&self, cwd: &[u8], path: &[u8], mode: u32, follow: bool) -> Result<(), Errno> {
        self.edit(cwd, path, follow, |meta| meta.mode = mode & 0o7777)
    }

    /// Sets times; `None` leaves one.
    ///
    /// # Errors
    /// As `utimensat(2)`.
    pub fn set_times(
        &self,
        cwd: &[u8],
        path: &[u8],
        atime: Option<SystemTime>,
        mtime: Option<SystemTime>,
        follow: bool,
    ) -> Result<(), Errno> {
        self.edit(cwd, path, follow, |meta| {
            meta.atime = atime.unwrap_or(meta.atime);
            meta.mtime = mtime.unwrap_or(meta.mtime);
        })
    }

    fn edit(&self, cwd: &[u8], path: &[u8], follow: bool, edit: impl FnOnce(&mut Meta)) -> Result<(), Errno> {
        let mut names = self.lock();
        let mut spot = walk(&mut names, cwd, path, follow)?;
        let id = spot.kept(&mut names)?;
        let node = names.node_mut(id)?;
        if node.area.is_none() {
            return if matches!(node.body, Body::Device(_)) { Err(Errno::PERM) } else { Err(Errno::ROFS) };
        }
        match &node.body {
            Body::File { file, .. } => file.edit_meta(edit),
            Body::Link { .. } => Err(Errno::OPNOTSUPP),
            _ if !node.meta.own => Err(Errno::PERM),
            _ => {
                edit(&mut node.meta);
                node.changed = true;
                Ok(())
            }
        }
    }

    /// The path without links, `.` and `..`; all of it must be there.
    ///
    /// # Errors
    /// As `realpath(3)`.
    pub fn canonical(&self, cwd: &[u8], path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, true)?;
        if spot.name.is_some() && spot.child.is_none() { Err(Errno::NOENT) } else { Ok(spot.path()) }
    }

    /// Checks that a path is a directory that the agent may enter, and returns it without links.
    ///
    /// # Errors
    /// As `chdir(2)`.
    pub fn enter(&self, cwd: &[u8], path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, true)?;
        let dir = directory(&names, &spot)?;
        names.may(dir, 1)?;
        Ok(spot.path())
    }

    /// Bytes and files of the area that a path lies in: how many there may be, and how many there are.
    ///
    /// # Errors
    /// As `statfs(2)`.
    pub fn usage(&self, cwd: &[u8], path: &[u8]) -> Result<[(u64, u64); 2], Errno> {
        let mut names = self.lock();
        let spot = walk(&mut names, cwd, path, true)?;
        if spot.name.is_some() && spot.child.is_none() {
            return Err(Errno::NOENT);
        }
        let id = match spot.child {
            Some(Child::Node(id)) => id,
            _ => spot.dir(),
        };
        Ok(names.node(id)?.area.as_ref().map_or([(0, 0); 2], Area::usage))
    }

    /// Whether an area was too small for something.
    pub fn is_full(&self) -> bool {
        self.0.workspace.fired() || self.0.scratch.fired()
    }

    /// The directories of the host that are read.
    pub(crate) fn host_directories(&self) -> Vec<BorrowedFd<'_>> {
        std::iter::once(self.0.lower.fd()).chain(self.0.objects.as_ref().map(|o| o.fd())).collect()
    }

    /// Gives the table and the workspace's place in it to whoever looks for changes.
    pub(super) fn with_workspace<T>(&self, look: impl FnOnce(&mut Names, Id, &Lower) -> T) -> T {
        look(&mut self.lock(), self.0.top, &self.0.lower)
    }
}

fn kind(names: &Names, child: &Child) -> Result<Kind, Errno> {
    match child {
        Child::Node(id) => names.kind(*id),
        Child::Lower(found, _) => Ok(Kind::of(found.kind)),
    }
}

fn stat(names: &Names, child: &Child) -> Result<Stat, Errno> {
    match child {
        Child::Node(id) => names.stat(*id),
        Child::Lower(found, _) => Ok(Stat::of(Kind::of(found.kind), &Meta::lower(found), found.size)),
    }
}

fn directory(names: &Names, spot: &Spot) -> Result<Id, Errno> {
    match (&spot.name, &spot.child) {
        (None, _) => Ok(spot.dir()),
        (_, Some(Child::Node(id))) if names.kind(*id)? == Kind::Dir => Ok(*id),
        (_, Some(_)) => Err(Errno::NOTDIR),
        (_, None) => Err(Errno::NOENT),
    }
}

fn open_directory(names: &Names, spot: &Spot, how: Open) -> Result<Handle, Errno> {
    let dir = directory(names, spot)?;
    if how.create && how.exclusive {
        return Err(Errno::EXIST);
    }
    if how.write || how.append || how.truncate || (how.create && !how.directory) {
        return Err(Errno::ISDIR);
    }
    if how.read && !names.node(dir)?.meta.allows(4) {
        return Err(Errno::ACCESS);
    }
    Ok(Handle::directory(spot.path()))
}

/// Where something new is put: its directory, the area that it counts in, its name.
fn room(names: &Names, spot: &Spot) -> Result<(Id, Area, Vec<u8>), Errno> {
    let name = spot.name.clone().ok_or(Errno::EXIST)?;
    names.may(spot.dir(), 3)?;
    let area = names.node(spot.dir())?.area.clone().ok_or(Errno::ROFS)?;
    Ok((spot.dir(), area, name))
}
