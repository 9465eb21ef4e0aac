//! Index and worktree brought from one tree to another.

use crate::error::{Result, die};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::Found;
use bstr::ByteSlice;

/// Brings index and worktree from HEAD's tree to a commit's, keeping local changes that do not collide.
pub fn move_work(repo: &Repo, target: Id, force: bool) -> Result<()> {
    let head = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
    let tree = repo.peel(target, Kind::Tree)?;
    if force {
        return reset_work(repo, tree);
    }
    two_way(repo, head, tree, "checkout", "switch branches")
}

/// The same between any two trees; `what` and `before` word the refusal.
pub fn two_way(repo: &Repo, head: Option<Id>, tree: Option<Id>, what: &str, before: &str) -> Result<()> {
    let mut index = repo.index()?;
    let changes = repo.diff_trees(head, tree, &Pathspec::default())?;
    let (mut dirty, mut untracked) = (Vec::new(), Vec::new());
    let mut todo = Vec::new();
    for change in changes {
        let path = change.path().to_vec();
        let old = change.old.as_ref().map(|side| (side.mode, side.id));
        let new = change.new.as_ref().map(|side| (side.mode, side.id));
        let entry = index.get(&path).cloned();
        let now = entry.as_ref().map(|entry| (entry.mode, entry.id));
        if now == new {
            continue;
        }
        if now != old {
            dirty.push(path);
            continue;
        }
        match &entry {
            Some(entry) => {
                if matches!(repo.compare(&index, entry)?, Found::Changed(..)) {
                    dirty.push(path);
                    continue;
                }
            }
            None => {
                if std::fs::symlink_metadata(repo.at(&path)?).is_ok_and(|meta| !meta.is_dir()) {
                    let same = change.new.as_ref().is_some_and(|new| {
                        repo.content(&path).is_ok_and(|content| Id::of(Kind::Blob, &content) == new.id)
                    });
                    if !same
                        && !crate::ignore::Ignore::new(repo)
                            .covers(&path, false)
                            .is_some_and(|rule| rule.ignored)
                    {
                        untracked.push(path);
                        continue;
                    }
                }
            }
        }
        todo.push((path, new));
    }
    let list = |paths: &[Vec<u8>]| {
        paths.iter().map(|path| format!("\t{}\n", path.to_str_lossy())).collect::<String>()
    };
    let mut text = String::new();
    if !dirty.is_empty() {
        text += &format!(
            "error: Your local changes to the following files would be overwritten by {what}:\n{}Please commit your changes or stash them before you {before}.\n",
            list(&dirty)
        );
    }
    if !untracked.is_empty() {
        text += &format!(
            "error: The following untracked working tree files would be overwritten by {what}:\n{}Please move or remove them before you {before}.\n",
            list(&untracked)
        );
    }
    if !text.is_empty() {
        return Err(die(1, text + "Aborting"));
    }
    for (path, new) in &todo {
        if new.is_none() {
            repo.remove_file(path)?;
            index.remove(path);
        }
    }
    for (path, new) in todo {
        if let Some((mode, id)) = new {
            repo.check_out(&mut index, &path, mode, id)?;
        }
    }
    index.write(&repo.index_path())
}

/// Makes index and worktree exactly a tree.
pub fn reset_work(repo: &Repo, tree: Option<Id>) -> Result<()> {
    let mut index = repo.index()?;
    let want = repo.tree_files(tree)?;
    let have: Vec<Vec<u8>> = index.entries.iter().map(|entry| entry.path.clone()).collect();
    for path in have {
        if !want.contains_key(&path) {
            repo.remove_file(&path)?;
            index.remove(&path);
        }
    }
    for (path, (mode, id)) in want {
        let fresh = match index.get(&path) {
            Some(entry) if (entry.mode, entry.id) == (mode, id) => {
                matches!(repo.compare(&index, entry)?, Found::Same)
            }
            _ => false,
        };
        if !fresh {
            repo.check_out(&mut index, &path, mode, id)?;
        }
    }
    index.write(&repo.index_path())
}
