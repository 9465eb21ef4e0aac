//! What differs between two of: a tree, the index, the worktree.

use crate::error::Result;
use crate::index::Index;
use crate::object::{Id, tree_order};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::{Found, MODULE};
use std::collections::BTreeMap;

/// One side of a change.
#[derive(Clone, Debug)]
pub struct Side {
    pub path: Vec<u8>,
    pub mode: u32,
    pub id: Id,
    /// The content lies in the worktree rather than in the store.
    pub work: bool,
    /// The id is not shown: the content has not been hashed for the user.
    pub unknown: bool,
}

impl Side {
    pub fn stored(path: &[u8], mode: u32, id: Id) -> Side {
        Side { path: path.to_vec(), mode, id, work: false, unknown: false }
    }

    pub fn content(&self, repo: &Repo) -> Result<Vec<u8>> {
        if self.mode == MODULE {
            return Ok(format!("Subproject commit {}\n", self.id).into_bytes());
        }
        if self.work { repo.content(&self.path) } else { repo.odb.blob(&self.id) }
    }
}

/// A file that differs.
#[derive(Clone, Debug)]
pub struct Change {
    pub old: Option<Side>,
    pub new: Option<Side>,
    /// Likeness of a rename or copy, 0 to 60,000.
    pub score: Option<u32>,
    pub copy: bool,
    pub unmerged: bool,
}

impl Change {
    pub fn new(old: Option<Side>, new: Option<Side>) -> Change {
        Change { old, new, score: None, copy: false, unmerged: false }
    }

    pub fn path(&self) -> &[u8] {
        self.new.as_ref().or(self.old.as_ref()).map_or(b"", |side| &side.path)
    }

    pub fn status(&self) -> char {
        match (&self.old, &self.new) {
            _ if self.unmerged => 'U',
            (None, _) => 'A',
            (_, None) => 'D',
            (Some(_), Some(_)) if self.copy => 'C',
            (Some(_), Some(_)) if self.score.is_some() => 'R',
            (Some(old), Some(new)) if old.mode & 0o170000 != new.mode & 0o170000 => 'T',
            _ => 'M',
        }
    }

    pub fn reverse(&mut self) {
        std::mem::swap(&mut self.old, &mut self.new);
    }
}

impl Repo {
    /// What differs between two trees; `None` is the empty one.
    pub fn diff_trees(&self, old: Option<Id>, new: Option<Id>, specs: &Pathspec) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        self.tree_pair(old, new, &mut Vec::new(), specs, &mut changes)?;
        Ok(changes)
    }

    /// Whether two trees differ where the pathspec looks.
    pub fn trees_differ(&self, old: Option<Id>, new: Option<Id>, specs: &Pathspec) -> Result<bool> {
        if specs.is_empty() {
            return Ok(old != new);
        }
        Ok(!self.diff_trees(old, new, specs)?.is_empty())
    }

    fn tree_pair(
        &self,
        old: Option<Id>,
        new: Option<Id>,
        base: &mut Vec<u8>,
        specs: &Pathspec,
        changes: &mut Vec<Change>,
    ) -> Result<()> {
        if old == new {
            return Ok(());
        }
        let read = |id: Option<Id>| id.map_or_else(|| Ok(Default::default()), |id| self.odb.tree(&id));
        let (old, new) = (read(old)?, read(new)?);
        let (mut a, mut b) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => tree_order((&a.name, a.is_tree()), (&b.name, b.is_tree())),
            };
            let left = if order.is_le() { a.next() } else { None };
            let right = if order.is_ge() { b.next() } else { None };
            if let (Some(left), Some(right)) = (left, right)
                && left.id == right.id
                && left.mode == right.mode
            {
                continue;
            }
            let length = base.len();
            base.extend_from_slice(&left.or(right).expect("one of the two was there").name);
            let tree = |entry: Option<&crate::object::Entry>| {
                entry.filter(|entry| entry.is_tree()).map(|entry| entry.id)
            };
            let file = |entry: Option<&crate::object::Entry>| {
                entry.filter(|entry| !entry.is_tree()).map(|entry| Side::stored(base, entry.mode, entry.id))
            };
            let (gone, came) = (file(left), file(right));
            if (gone.is_some() || came.is_some()) && specs.has(base) {
                changes.push(Change::new(gone, came));
            }
            if (tree(left).is_some() || tree(right).is_some()) && specs.may_have_below(base) {
                base.push(b'/');
                self.tree_pair(tree(left), tree(right), base, specs, changes)?;
            }
            base.truncate(length);
        }
    }

    /// All files of a tree.
    pub fn tree_files(&self, tree: Option<Id>) -> Result<BTreeMap<Vec<u8>, (u32, Id)>> {
        let mut files = BTreeMap::new();
        if let Some(tree) = tree {
            self.files_below(tree, &mut Vec::new(), &mut files)?;
        }
        Ok(files)
    }

    fn files_below(
        &self,
        tree: Id,
        base: &mut Vec<u8>,
        files: &mut BTreeMap<Vec<u8>, (u32, Id)>,
    ) -> Result<()> {
        for entry in self.odb.tree(&tree)?.iter() {
            let length = base.len();
            base.extend_from_slice(&entry.name);
            if entry.is_tree() {
                base.push(b'/');
                self.files_below(entry.id, base, files)?;
            } else {
                files.insert(base.clone(), (entry.mode, entry.id));
            }
            base.truncate(length);
        }
        Ok(())
    }

    /// What the index has over a tree.
    pub fn diff_cached(&self, tree: Option<Id>, index: &Index, specs: &Pathspec) -> Result<Vec<Change>> {
        let mut old = self.tree_files(tree)?;
        let mut changes = Vec::new();
        for (path, (mode, id)) in index.files() {
            let before = old.remove(&path).map(|(mode, id)| Side::stored(&path, mode, id));
            if before.as_ref().is_some_and(|side| side.mode == mode && side.id == id) || !specs.has(&path) {
                continue;
            }
            let new = Side::stored(&path, mode, id);
            changes.push(Change::new(before, Some(new)));
        }
        let unmerged = index.unmerged();
        for path in &unmerged {
            old.remove(path);
            if specs.has(path) {
                changes.push(Change {
                    unmerged: true,
                    ..Change::new(None, Some(Side::stored(path, 0, Id::ZERO)))
                });
            }
        }
        for (path, (mode, id)) in old {
            if specs.has(&path) {
                changes.push(Change::new(Some(Side::stored(&path, mode, id)), None));
            }
        }
        changes.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(changes)
    }

    /// What the worktree has over the index.
    pub fn diff_files(&self, index: &Index, specs: &Pathspec) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut unmerged: Vec<u8> = Vec::new();
        for entry in &index.entries {
            if !specs.has(&entry.path) {
                continue;
            }
            if entry.stage != 0 {
                if unmerged != entry.path {
                    unmerged = entry.path.clone();
                    let side = Side::stored(&entry.path, 0, Id::ZERO);
                    changes.push(Change { unmerged: true, ..Change::new(None, Some(side)) });
                }
                continue;
            }
            let old = (!entry.intent).then(|| Side::stored(&entry.path, entry.mode, entry.id));
            match self.compare(index, entry)? {
                Found::Same => {}
                Found::Missing if old.is_none() => {}
                Found::Missing => changes.push(Change::new(old, None)),
                Found::Changed(mode, id) => {
                    let new = Side { path: entry.path.clone(), mode, id, work: true, unknown: true };
                    changes.push(Change::new(old, Some(new)));
                }
            }
        }
        Ok(changes)
    }

    /// What the worktree's tracked files have over a tree.
    pub fn diff_work(&self, tree: Option<Id>, index: &Index, specs: &Pathspec) -> Result<Vec<Change>> {
        let mut old = self.tree_files(tree)?;
        let mut changes = Vec::new();
        for entry in &index.entries {
            if entry.stage > 1 || !specs.has(&entry.path) {
                old.remove(&entry.path).filter(|_| false);
                continue;
            }
            let before = old.remove(&entry.path).map(|(mode, id)| Side::stored(&entry.path, mode, id));
            let new = match self.compare(index, entry)? {
                Found::Same => Some(Side::stored(&entry.path, entry.mode, entry.id)),
                Found::Missing => None,
                Found::Changed(mode, id) => {
                    let unknown = before.as_ref().is_none_or(|side| side.id != id);
                    Some(Side { path: entry.path.clone(), mode, id, work: true, unknown })
                }
            };
            let same = match (&before, &new) {
                (Some(before), Some(new)) => before.id == new.id && before.mode == new.mode,
                (None, None) => true,
                _ => false,
            };
            if !same {
                changes.push(Change::new(before, new));
            }
        }
        for (path, (mode, id)) in old {
            if specs.has(&path) {
                changes.push(Change::new(Some(Side::stored(&path, mode, id)), None));
            }
        }
        changes.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(changes)
    }
}
