//! The commits of a history, one after the other.

use super::choice::{Asked, Choice};
use crate::error::Result;
use crate::object::{Commit, Id, Kind};
use crate::pathspec::Pathspec;
use crate::rename;
use crate::repo::Repo;
use std::collections::HashSet;

/// Follows a history, leaving out the sides that did not touch the paths.
pub(super) struct History<'a> {
    pub(super) repo: &'a Repo,
    pub(super) specs: &'a Pathspec,
    pub(super) choice: &'a Choice,
    pub(super) queue: Vec<Commit>,
    pub(super) seen: HashSet<Id>,
    pub(super) hidden: HashSet<Id>,
}

impl<'a> History<'a> {
    pub(super) fn new(repo: &'a Repo, asked: &'a Asked, from: &[Id]) -> Result<History<'a>> {
        let mut hidden = HashSet::new();
        if !asked.revs.not.is_empty() {
            let mut queue: Vec<Id> = Vec::new();
            for id in &asked.revs.not {
                queue.extend(repo.peel(*id, Kind::Commit)?);
            }
            while let Some(id) = queue.pop() {
                if hidden.insert(id) {
                    queue.extend(repo.odb.commit(&id)?.parents);
                }
            }
        }
        let mut history = History {
            repo,
            specs: &asked.specs,
            choice: &asked.choice,
            queue: Vec::new(),
            seen: HashSet::new(),
            hidden,
        };
        for id in from {
            history.push(*id)?;
        }
        Ok(history)
    }

    // The queue is sorted, the newest last; of equally old ones the first pushed comes first.
    pub(super) fn push(&mut self, id: Id) -> Result<()> {
        if self.hidden.contains(&id) || !self.seen.insert(id) {
            return Ok(());
        }
        let commit = match self.repo.odb.find(&id) {
            Some((Kind::Commit, data)) => Commit::parse(id, &data)?,
            // A shallow history ends here.
            _ => return Ok(()),
        };
        let at = self.queue.partition_point(|other| other.committer.time < commit.committer.time);
        self.queue.insert(at, commit);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<Commit>> {
        while let Some(commit) = self.queue.pop() {
            if self.choice.since.is_some_and(|since| commit.committer.time < since) {
                continue;
            }
            let parents: Vec<Id> = if self.choice.first_parent {
                commit.parents.first().copied().into_iter().collect()
            } else {
                commit.parents.clone()
            };
            if self.specs.is_empty() || self.choice.follow {
                for parent in &parents {
                    self.push(*parent)?;
                }
                return Ok(Some(commit));
            }
            let mut touched = true;
            let mut same = None;
            for parent in &parents {
                let Some((Kind::Commit, data)) = self.repo.odb.find(parent) else { continue };
                let tree = Commit::parse(*parent, &data)?.tree;
                if !self.repo.trees_differ(Some(tree), Some(commit.tree), self.specs)? {
                    touched = false;
                    same = Some(*parent);
                    break;
                }
            }
            if parents.is_empty() {
                touched = self.repo.trees_differ(None, Some(commit.tree), self.specs)?;
            }
            match same.filter(|_| !self.choice.full) {
                Some(parent) => self.push(parent)?,
                None => {
                    for parent in &parents {
                        self.push(*parent)?;
                    }
                }
            }
            if touched {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }
}

// Whether a commit touched a file, and what the file was called before.
pub(super) fn follow(repo: &Repo, commit: &Commit, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let parent = match commit.parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    if commit.parents.len() > 1 {
        return Ok(None);
    }
    let now = repo.in_tree(commit.tree, path)?;
    let before = match parent {
        Some(tree) => repo.in_tree(tree, path)?,
        None => None,
    };
    match (now, before) {
        (now, before) if now == before => Ok(None),
        (Some(_), None) => {
            let changes = rename::find(
                repo,
                repo.diff_trees(parent, Some(commit.tree), &Pathspec::default())?,
                rename::MOST / 2,
                false,
            )?;
            let found = changes.iter().find(|change| change.path() == path && change.score.is_some());
            Ok(Some(
                found
                    .and_then(|change| change.old.as_ref())
                    .map_or_else(|| path.to_vec(), |side| side.path.clone()),
            ))
        }
        _ => Ok(Some(path.to_vec())),
    }
}
