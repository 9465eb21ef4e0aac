//! The worktrees of a repository: the main one, and those that `git worktree add` linked to it.

use crate::error::Result;
use crate::object::Id;
use crate::refs::Head;
use crate::repo::Repo;
use bstr::ByteSlice;
use std::path::{Component, Path, PathBuf};

/// One worktree.
pub struct Linked {
    /// Where its files are.
    pub path: PathBuf,
    /// Its own part of the repository; the repository itself for the main one.
    pub dir: PathBuf,
    /// What it has checked out; none if that cannot be read.
    pub head: Option<Head>,
    /// The commit of that.
    pub id: Option<Id>,
    /// Why it is locked, if it is; often empty.
    pub locked: Option<String>,
    /// It is the main one.
    pub main: bool,
    /// It has no files.
    pub bare: bool,
}

impl Linked {
    /// Returns why it may be forgotten: its files are gone.
    pub fn gone(&self) -> Option<&'static str> {
        let missing = !self.main && self.locked.is_none() && !self.path.join(".git").exists();
        missing.then_some("gitdir file points to non-existent location")
    }

    /// Opens the repository as this worktree sees it.
    pub fn open(&self) -> Repo {
        Repo::with(self.dir.clone(), Some(self.path.clone()))
    }
}

impl Repo {
    /// Returns all worktrees, the main one first, the others by path.
    pub fn worktrees(&self) -> Result<Vec<Linked>> {
        let bare = self.config.is("core.bare", false);
        let top =
            if bare { self.common.clone() } else { self.common.parent().unwrap_or(&self.common).to_owned() };
        let mut found = vec![self.linked(top, self.common.clone(), true, bare)];
        for entry in std::fs::read_dir(self.common.join("worktrees")).into_iter().flatten().flatten() {
            let dir = entry.path();
            let Ok(text) = std::fs::read(dir.join("gitdir")) else { continue };
            let path = guest_host::path_of(text.trim()).to_owned();
            found.push(self.linked(path.parent().unwrap_or(&path).to_owned(), dir, false, false));
        }
        found[1..].sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn linked(&self, path: PathBuf, dir: PathBuf, main: bool, bare: bool) -> Linked {
        let own = Repo { dir: dir.clone(), ..Repo::with(self.common.clone(), None) };
        let locked = std::fs::read(dir.join("locked")).ok().map(|why| why.trim().to_str_lossy().into_owned());
        Linked { path, head: own.head().ok(), id: own.head_id(), locked, dir, main, bare }
    }

    /// Returns where a branch, by its full name, is checked out besides here.
    pub fn elsewhere(&self, branch: &str) -> Result<Option<PathBuf>> {
        if !self.common.join("worktrees").is_dir() {
            return Ok(None);
        }
        let has = |linked: &Linked| matches!(&linked.head, Some(Head::Branch(name)) if name == branch);
        let found = self
            .worktrees()?
            .into_iter()
            .find(|linked| linked.dir != self.dir && !linked.bare && has(linked));
        Ok(found.map(|linked| linked.path))
    }

    /// Finds a worktree by its path, or by the end of its path if that is one's alone.
    pub fn worktree_of(&self, typed: &str) -> Result<Option<Linked>> {
        let path = absolute(Path::new(typed))?;
        let mut all = self.worktrees()?;
        let ends: Vec<usize> =
            (0..all.len()).filter(|at| !typed.is_empty() && all[*at].path.ends_with(typed)).collect();
        let at = all.iter().position(|linked| linked.path == path);
        Ok(at.or(if let [only] = ends[..] { Some(only) } else { None }).map(|at| all.swap_remove(at)))
    }
}

/// Returns a path from the root, without `.` and `..`.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let mut whole = PathBuf::new();
    for part in std::env::current_dir()?.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = whole.pop(),
            part => whole.push(part),
        }
    }
    Ok(whole)
}
