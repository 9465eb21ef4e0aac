//! The tree's directories: what is in memory, over what the host's directory holds. Untouched files are looked up each
//! time and not kept, so that a search through a large workspace leaves nothing behind.

use super::area::Area;
use super::clock::Clock;
use super::fifo::Fifo;
use super::file::{File, Meta};
use super::lower::{Found, Lower};
use super::stat::{Kind, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's place in the table.
pub(super) type Id = usize;

/// The first number of a file that the tree made.
const FIRST_INO: u64 = 1 << 31;
/// Longest name in a directory, in bytes.
const NAME_MAX: usize = 255;

/// All directories, and what in them is not as in the host's.
#[derive(Debug)]
pub(super) struct Names {
    nodes: Vec<Option<Node>>,
    free: Vec<Id>,
    next_ino: u64,
    pub clock: Clock,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Of a directory, link or device; a file has its own.
    pub meta: Meta,
    /// Where its room is counted; nothing may be changed where there is none.
    pub area: Option<Area>,
    /// Names that it has.
    names: u32,
    /// It is where something is mounted: it stays.
    pub mount: bool,
    pub changed: bool,
    counted: bool,
    pub body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Dir(Dir),
    File { file: Arc<File>, origin: Option<Origin> },
    Link { target: Vec<u8>, origin: Option<Origin> },
    Device(Kind),
    Pipe(Fifo),
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    /// What shows where nothing is said here.
    pub origin: Option<Origin>,
    /// `None` stands for what is gone.
    pub entries: BTreeMap<Vec<u8>, Option<Id>>,
    /// When each name was entered that is not the host's: a number that grows.
    pub entered: BTreeMap<Vec<u8>, u64>,
    /// Size of the host's directory, in bytes.
    pub size: u64,
}

impl Dir {
    /// A directory of the host.
    pub(super) fn over(origin: Origin, found: &Found) -> Dir {
        Dir { origin: Some(origin), size: found.size, ..Dir::default() }
    }
}

/// Where in the host's directory something comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub lower: Arc<Lower>,
    pub path: Vec<u8>,
}

impl Origin {
    pub(super) fn child(&self, name: &[u8]) -> Origin {
        let path = if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() };
        Origin { lower: self.lower.clone(), path }
    }
}

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Child {
    Node(Id),
    /// Something untouched that is no directory.
    Lower(Found, Origin),
}

impl Names {
    /// A table that holds the root: an empty directory where nothing may be changed.
    pub(super) fn new(clock: Clock) -> Names {
        let mut names = Names { nodes: Vec::new(), free: Vec::new(), next_ino: FIRST_INO, clock };
        let meta = names.meta(0o755);
        names.add(meta, None, Body::Dir(Dir::default()));
        names
    }

    pub(super) const ROOT: Id = 0;

    pub(super) fn ino(&mut self) -> u64 {
        self.next_ino += 1;
        self.next_ino
    }

    /// What is known of something that is made now.
    pub(super) fn meta(&mut self, mode: u32) -> Meta {
        Meta::new(self.ino(), mode, self.clock.now())
    }

    pub(super) fn node(&self, id: Id) -> Result<&Node, Errno> {
        self.nodes.get(id).and_then(Option::as_ref).ok_or(Errno::STALE)
    }

    pub(super) fn node_mut(&mut self, id: Id) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(id).and_then(Option::as_mut).ok_or(Errno::STALE)
    }

    pub(super) fn dir(&self, id: Id) -> Result<&Dir, Errno> {
        match &self.node(id)?.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    pub(super) fn dir_mut(&mut self, id: Id) -> Result<&mut Dir, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// A node that counts nowhere.
    pub(super) fn add(&mut self, meta: Meta, area: Option<Area>, body: Body) -> Id {
        let node = Node { meta, area, names: 0, mount: false, changed: false, counted: false, body };
        match self.free.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        }
    }

    /// A node that the agent makes; it takes a file of the area. A file counts itself.
    pub(super) fn make(&mut self, meta: Meta, area: &Area, body: Body) -> Result<Id, Errno> {
        let counted = !matches!(body, Body::File { .. });
        if counted {
            area.take_inode()?;
        }
        let id = self.add(meta, Some(area.clone()), body);
        let node = self.node_mut(id)?;
        (node.changed, node.counted) = (true, counted);
        Ok(id)
    }

    /// What a name in a directory stands for.
    pub(super) fn child(&mut self, dir: Id, name: &[u8]) -> Result<Option<Child>, Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let here = self.dir(dir)?;
        if let Some(entry) = here.entries.get(name) {
            return Ok(entry.map(Child::Node));
        }
        let Some(origin) = here.origin.as_ref().map(|o| o.child(name)) else { return Ok(None) };
        let found = match origin.lower.stat(&origin.path) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(e),
        };
        if Kind::of(found.kind) != Kind::Dir {
            return Ok(Some(Child::Lower(found, origin)));
        }
        Ok(Some(Child::Node(self.keep(dir, name, found, origin)?)))
    }

    /// Takes something untouched into the table, to change it or to go through it.
    pub(super) fn keep(&mut self, dir: Id, name: &[u8], found: Found, origin: Origin) -> Result<Id, Errno> {
        let area = self.node(dir)?.area.clone();
        let meta = Meta::lower(&found);
        let body = match Kind::of(found.kind) {
            Kind::Dir => Body::Dir(Dir::over(origin, &found)),
            Kind::File => {
                let file = File::lower(&found, origin.lower.clone(), origin.path.clone(), area.clone());
                Body::File { file: Arc::new(file), origin: Some(origin) }
            }
            Kind::Link => Body::Link { target: origin.lower.link(&origin.path)?, origin: Some(origin) },
            kind => Body::Device(kind),
        };
        let id = self.add(meta, area, body);
        self.node_mut(id)?.names = 1;
        self.dir_mut(dir)?.entries.insert(name.to_vec(), Some(id));
        Ok(id)
    }

    /// The node of a child, taken into the table if need be.
    pub(super) fn kept(&mut self, dir: Id, name: &[u8], child: Child) -> Result<Id, Errno> {
        match child {
            Child::Node(id) => Ok(id),
            Child::Lower(found, origin) => self.keep(dir, name, found, origin),
        }
    }

    /// Gives a node a name. Nothing may have it.
    pub(super) fn enter(&mut self, dir: Id, name: &[u8], id: Id) -> Result<(), Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let turn = self.ino();
        let here = self.dir_mut(dir)?;
        here.entries.insert(name.to_vec(), Some(id));
        here.entered.insert(name.to_vec(), turn);
        self.node_mut(id)?.names += 1;
        self.touch(dir)
    }

    /// Takes a name away, and the node with its last one. `forget: false` keeps a node that gets another name.
    pub(super) fn leave(&mut self, dir: Id, name: &[u8], forget: bool) -> Result<(), Errno> {
        let shows = match self.dir(dir)?.origin.as_ref().map(|o| o.child(name)) {
            Some(origin) => origin.lower.stat(&origin.path).is_ok(),
            None => false,
        };
        let here = self.dir_mut(dir)?;
        here.entered.remove(name);
        let entries = &mut here.entries;
        let gone = entries.remove(name).flatten();
        if shows {
            entries.insert(name.to_vec(), None);
        }
        if let Some(id) = gone {
            let node = self.node_mut(id)?;
            node.names = node.names.saturating_sub(1);
            if node.names == 0 && forget {
                if node.counted
                    && let Some(area) = &node.area
                {
                    area.give_inode();
                }
                self.nodes[id] = None;
                self.free.push(id);
            }
        }
        self.touch(dir)
    }

    /// Copies all that shows of the host's directory in it, as far down as it goes: then it can be elsewhere, and what
    /// becomes of the host's files does not matter to it.
    pub(super) fn detach(&mut self, id: Id, depth: usize) -> Result<(), Errno> {
        /// Deepest directory that is copied.
        const MAX_DEPTH: usize = 256;
        if depth > MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        match &self.node(id)?.body {
            Body::File { file, .. } => {
                file.clone().detach()?;
            }
            Body::Dir(dir) if dir.origin.is_some() => {
                let area = self.node(id)?.area.clone().ok_or(Errno::ROFS)?;
                for (name, _) in self.list(id)? {
                    if let Some(child) = self.child(id, &name)? {
                        let child = self.kept(id, &name, child)?;
                        self.detach(child, depth + 1)?;
                    }
                }
                if !self.node(id)?.counted {
                    area.take_inode()?;
                }
                let node = self.node_mut(id)?;
                node.counted = true;
                if let Body::Dir(dir) = &mut node.body {
                    dir.origin = None;
                    dir.entries.retain(|_, entry| entry.is_some());
                }
            }
            Body::Dir(dir) => {
                for child in dir.entries.values().flatten().copied().collect::<Vec<_>>() {
                    self.detach(child, depth + 1)?;
                }
            }
            Body::Link { .. } | Body::Device(_) | Body::Pipe(_) => {}
        }
        let node = self.node_mut(id)?;
        if let Body::File { origin, .. } | Body::Link { origin, .. } = &mut node.body {
            *origin = None;
        }
        node.changed = true;
        Ok(())
    }

    /// Counts what is detached in another area. A file that is open is another one from then on.
    pub(super) fn transfer(&mut self, id: Id, area: &Area, depth: usize) -> Result<(), Errno> {
        const MAX_DEPTH: usize = 256;
        if depth > MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let node = self.node_mut(id)?;
        match &mut node.body {
            Body::File { file, .. } => *file = Arc::new(file.copy(area.clone())?),
            _ => {
                area.take_inode()?;
                if node.counted
                    && let Some(old) = &node.area
                {
                    old.give_inode();
                }
                node.counted = true;
            }
        }
        node.area = Some(area.clone());
        if let Body::Dir(dir) = &node.body {
            for child in dir.entries.values().flatten().copied().collect::<Vec<_>>() {
                self.transfer(child, area, depth + 1)?;
            }
        }
        Ok(())
    }

    /// A directory's content changed.
    fn touch(&mut self, dir: Id) -> Result<(), Errno> {
        let now = self.clock.now();
        let meta = &mut self.node_mut(dir)?.meta;
        (meta.mtime, meta.ctime) = (now, now);
        Ok(())
    }

    pub(super) fn kind(&self, id: Id) -> Result<Kind, Errno> {
        Ok(match &self.node(id)?.body {
            Body::Dir(_) => Kind::Dir,
            Body::File { .. } => Kind::File,
            Body::Link { .. } => Kind::Link,
            Body::Device(kind) => *kind,
            Body::Pipe(_) => Kind::Fifo,
        })
    }

    pub(super) fn stat(&self, id: Id) -> Result<Stat, Errno> {
        let node = self.node(id)?;
        Ok(match &node.body {
            Body::File { file, .. } => Stat::of(Kind::File, &file.meta(), file.size()),
            Body::Link { target, .. } => Stat::of(Kind::Link, &node.meta, target.len() as u64),
            Body::Dir(dir) => self.dir_stat(node, dir),
            Body::Device(kind) => Stat { kind: *kind, ..Stat::of(*kind, &node.meta, 0) },
            Body::Pipe(_) => Stat::of(Kind::Fifo, &node.meta, 0),
        })
    }

    /// Whether the agent has these rights to a directory.
    pub(super) fn may(&self, dir: Id, rights: u32) -> Result<(), Errno> {
        let node = self.node(dir)?;
        // Nothing is writable where no room is, whatever the mode says.
        if rights & 2 != 0 && node.area.is_none() {
            return Err(Errno::ROFS);
        }
        if node.meta.allows(rights) { Ok(()) } else { Err(Errno::ACCESS) }
    }
}
