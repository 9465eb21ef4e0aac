//! How a directory shows: the order of its names, its size and its links, as in an overlay whose changes are in memory.

use super::Stat;
use super::names::{Body, Dir, Id, Names, Node};
use super::stat::Kind;
use rustix::io::Errno;
use std::cmp::Reverse;
use std::collections::HashSet;

/// Bytes that a directory in memory has for each name, and for `.` and `..`.
const NAME: u64 = 20;

impl Names {
    /// Names and kinds in a directory: the host's in its order, then what was made here, newest first.
    pub(super) fn list(&self, dir: Id) -> Result<Vec<(Vec<u8>, Kind)>, Errno> {
        let here = self.dir(dir)?;
        let (mut all, mut own) = (Vec::new(), HashSet::new());
        if let Some(origin) = &here.origin {
            for (name, kind) in origin.lower.list(&origin.path)? {
                let kind = match here.entries.get(&name) {
                    None => Kind::of(kind),
                    Some(None) => continue,
                    Some(Some(id)) => self.kind(*id)?,
                };
                if here.entries.contains_key(&name) {
                    own.insert(name.clone());
                }
                all.push((name, kind));
            }
        }
        let mut made: Vec<_> = here
            .entries
            .iter()
            .filter(|(name, _)| !own.contains(*name))
            .filter_map(|(name, id)| Some((Reverse(here.entered.get(name)), name, (*id)?)))
            .collect();
        made.sort();
        for (_, name, id) in made {
            all.push((name.clone(), self.kind(id)?));
        }
        Ok(all)
    }

    /// A directory that nothing was changed in is the host's; another shows one name, and the size of what lies over it.
    pub(super) fn dir_stat(&self, node: &Node, dir: &Dir) -> Stat {
        let mut stat = Stat::of(Kind::Dir, &node.meta, dir.size);
        let changed =
            dir.entries.values().filter(|id| id.is_none_or(|id| self.is_changed(id))).count() as u64;
        if dir.origin.is_some() && changed == 0 && !node.changed && !node.mount {
            return stat;
        }
        stat.size = NAME * (2 + changed);
        let inner = dir.entries.values().flatten().filter(|id| self.kind(**id) == Ok(Kind::Dir)).count();
        stat.nlink = if dir.origin.is_some() { 1 } else { 2 + inner as u64 };
        stat
    }

    /// Whether something differs from the host's directory: a node, or what is below it.
    fn is_changed(&self, id: Id) -> bool {
        let Ok(node) = self.node(id) else { return false };
        match &node.body {
            Body::Dir(dir) if !node.changed && dir.origin.is_some() => {
                dir.entries.values().any(|id| id.is_none_or(|id| self.is_changed(id)))
            }
            Body::File { file, origin: Some(_) } => node.changed || file.changed(),
            _ => true,
        }
    }
}
