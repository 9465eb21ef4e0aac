//! A path, resolved in the tree: each link is followed by us, so none leads out of what the tree holds.

use super::names::{Body, Child, Id, Names};
use super::stat::Kind;
use rustix::io::Errno;
use std::borrow::Cow;

/// Links that are followed on the way of one path, as on Linux.
const MAX_LINKS: usize = 40;
/// Longest path, in bytes, as on Linux.
const PATH_MAX: usize = 4096;
/// Deepest directory.
const MAX_DEPTH: usize = 1024;

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Spot {
    /// The directories on the way, with their names; the first is the root.
    dirs: Vec<(Vec<u8>, Id)>,
    /// The last name, when the path ends in one; else the last directory itself is meant.
    pub name: Option<Vec<u8>>,
    /// What is there.
    pub child: Option<Child>,
    /// It was written as a directory, with a slash at its end.
    pub as_directory: bool,
}

impl Spot {
    /// The directory that holds it; itself, when no name is left.
    pub(super) fn dir(&self) -> Id {
        self.dirs.last().map_or(Names::ROOT, |(_, id)| *id)
    }

    /// The ways from the root.
    pub(super) fn is_beneath(&self, id: Id) -> bool {
        self.dirs.iter().any(|(_, dir)| *dir == id)
    }

    /// Its path, without links.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        let names = self.dirs.iter().skip(1).map(|(name, _)| name).chain(&self.name);
        for name in names {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() { b"/".to_vec() } else { path }
    }

    /// The node that is there. What is untouched is taken into the table.
    pub(super) fn kept(&mut self, names: &mut Names) -> Result<Id, Errno> {
        let dir = self.dir();
        match (&self.name, self.child.take()) {
            (None, _) => Ok(dir),
            (Some(name), Some(child)) => {
                let id = names.kept(dir, name, child)?;
                self.child = Some(Child::Node(id));
                Ok(id)
            }
            (Some(_), None) => Err(Errno::NOENT),
        }
    }
}

/// Resolves a path, relative to a directory. A link at its end is followed when `follow` says so.
pub(super) fn walk(names: &mut Names, cwd: &[u8], path: &[u8], follow: bool) -> Result<Spot, Errno> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if path.len() >= PATH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    if path.contains(&0) {
        return Err(Errno::INVAL);
    }
    let mut as_directory = is_directory_path(path);
    let mut todo: Vec<Cow<'_, [u8]>> = parts(path).rev().map(Cow::Borrowed).collect();
    if path[0] != b'/' {
        todo.extend(parts(cwd).rev().map(Cow::Borrowed));
    }
    let mut dirs = vec![(Vec::new(), Names::ROOT)];
    let mut links = 0;
    while let Some(name) = todo.pop() {
        let dir = dirs.last().map_or(Names::ROOT, |(_, id)| *id);
        if *name == *b".." {
            if dirs.len() > 1 {
                dirs.pop();
            }
            continue;
        }
        names.may(dir, 1)?;
        let is_last = todo.is_empty();
        let end = |child, as_directory, dirs, name: Cow<'_, [u8]>| {
            Ok(Spot { dirs, name: Some(name.into_owned()), child, as_directory })
        };
        let Some(child) = names.child(dir, &name)? else {
            return if is_last { end(None, as_directory, dirs, name) } else { Err(Errno::NOENT) };
        };
        let (kind, target) = match &child {
            Child::Node(id) => match &names.node(*id)?.body {
                Body::Link { target, .. } => (Kind::Link, Some(target.clone())),
                _ => (names.kind(*id)?, None),
            },
            Child::Lower(found, origin) => {
                let kind = Kind::of(found.kind);
                let goes = kind == Kind::Link && (!is_last || follow || as_directory);
                (kind, if goes { Some(origin.lower.link(&origin.path)?) } else { None })
            }
        };
        match (kind, &child) {
            (Kind::Dir, Child::Node(id)) => {
                if is_last {
                    return end(Some(child), as_directory, dirs, name);
                }
                if dirs.len() >= MAX_DEPTH {
                    return Err(Errno::NAMETOOLONG);
                }
                dirs.push((name.into_owned(), *id));
            }
            (Kind::Link, _) if !is_last || follow || as_directory => {
                links += 1;
                let target = target.filter(|t| !t.is_empty()).ok_or(Errno::NOENT)?;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                if target[0] == b'/' {
                    dirs.truncate(1);
                }
                as_directory |= is_last && is_directory_path(&target);
                todo.extend(parts(&target).rev().map(|part| Cow::Owned(part.to_vec())));
            }
            _ if is_last && !(as_directory && kind != Kind::Link) => {
                return end(Some(child), as_directory, dirs, name);
            }
            _ => return Err(Errno::NOTDIR),
        }
    }
    Ok(Spot { dirs, name: None, child: None, as_directory: true })
}

/// The names of a path, without `.`.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Whether a path ends in a way that only a directory can.
fn is_directory_path(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.") || path == b"."
}
