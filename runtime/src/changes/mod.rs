//! What an agent changed: the overlay's upper directory, read without trusting it.
//!
//! The agent wrote every name and byte here, so nothing is opened by a path string that it could have bent: each step is
//! an `openat` relative to a descriptor, following no link. No host git runs on it. Two things can become of the
//! changes: a [patch](Changes::diff), and the [filtering commit](Changes::commit) to the real directory.

mod commit;
mod danger;
mod ignored;
mod layer;
mod patch;
mod real;
mod version;
mod walk;

pub use commit::{Commit, Withheld};
pub use layer::Contents;
pub use walk::{Node, What};

use layer::{Layer, Side, same_bytes};
use real::Real;
use rustix::fs::{CWD, fstat};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use version::Budget;

/// What an agent changed in a workspace, relative to its untouched lower directory.
///
/// It holds the upper directory open and a list of the paths in it; contents are read when they are asked for.
///
/// ```no_run
/// use sbx_runtime::{Action, Policy, Sandbox};
/// let mut sandbox = Sandbox::open(&Policy::preset("whitelist")?, "checkout")?;
/// sandbox.run(&Action::bash("echo done > note"))?;
/// print!("{}", sandbox.changes()?.diff_text());
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Changes {
    upper: Option<Layer>,
    lower: PathBuf,
    /// The lower directory itself, whatever has its name meanwhile.
    held: Option<OwnedFd>,
    nodes: Vec<Node>,
}

/// One changed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: Kind,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// Its content, mode or type is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// What a path was before, and what it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    old: Option<Side>,
    new: Option<Side>,
}

impl Changes {
    /// Reads an overlay's upper directory; `lower` is the directory that it lies over.
    ///
    /// # Errors
    /// It cannot be read, or is deeper or larger than is read here (256 directories, 2,000,000 paths).
    pub fn read(upper: OwnedFd, lower: &Path) -> io::Result<Changes> {
        let upper = Layer::upper(upper);
        let nodes = walk::walk(&upper)?;
        Ok(Changes { upper: Some(upper), lower: lower.into(), held: None, nodes })
    }

    /// Changes that are held elsewhere than in a directory: their nodes, parents before children and each directory in
    /// byte order, as a walk through an overlay's upper directory would give them.
    pub fn held(nodes: Vec<Node>, contents: Box<dyn Contents>, lower: &Path) -> Changes {
        Changes { upper: Some(Layer::held(contents)), lower: lower.into(), held: None, nodes }
    }

    /// No changes: the workspace was not writable.
    pub fn none(lower: &Path) -> Changes {
        Changes { upper: None, lower: lower.into(), held: None, nodes: Vec::new() }
    }

    /// Takes a descriptor of the lower directory, which from then on is that one: whoever may write in the directory around
    /// it could put another in its place.
    #[must_use]
    pub fn over(mut self, lower: OwnedFd) -> Changes {
        self.held = Some(lower);
        self
    }

    fn lower(&self) -> io::Result<Layer> {
        self.itself()?.map_or_else(|| Layer::lower(&self.lower), Layer::of_lower)
    }

    /// The lower directory where it is held. One that was removed is an error, not an empty one.
    fn itself(&self) -> io::Result<Option<&OwnedFd>> {
        match &self.held {
            Some(held) if fstat(held)?.st_nlink == 0 => Err(io::ErrorKind::NotFound.into()),
            held => Ok(held.as_ref()),
        }
    }

    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Changed paths in git's order, as `git add -A` would see them: without `.git`, and without new files that a
    /// `.gitignore` names. Devices, sockets and pipes are not among them.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Change>> {
        let kind = |pair: &Pair| match (pair.old, pair.new) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Deleted,
            _ => Kind::Modified,
        };
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        Ok(self.pairs()?.iter().map(|(p, pair)| Change { path: path(p), kind: kind(pair) }).collect())
    }

    /// All changes as a git patch that `git apply` takes: text with three lines of context, binary files as literals.
    ///
    /// A file of more than 64 MiB, an unreadable one, and all after the first 256 MiB of contents appear as
    /// `Binary files … differ`, which `git apply` refuses: a patch is never silently less than the changes.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn try_diff(&self) -> io::Result<Vec<u8>> {
        self.patch(false)
    }

    fn patch(&self, is_utf8: bool) -> io::Result<Vec<u8>> {
        let Some(upper) = &self.upper else { return Ok(Vec::new()) };
        let lower = self.lower()?;
        let (mut patch, mut budget) = (patch::Patch::new(is_utf8), Budget::default());
        for (path, pair) in self.pairs()? {
            let old = pair.old.map(|side| version::read(&lower, &path, side, &mut budget));
            let new = pair.new.map(|side| version::read(upper, &path, side, &mut budget));
            patch.add(&path, old.as_ref(), new.as_ref());
        }
        Ok(patch.into_bytes())
    }

    /// As [`Changes::try_diff`], but nothing at all when a directory cannot be read.
    pub fn diff(&self) -> Vec<u8> {
        self.try_diff().unwrap_or_default()
    }

    /// As [`Changes::try_diff`], but as a text, of which no byte is lost: files that are not UTF-8 are literals too.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn try_diff_text(&self) -> io::Result<String> {
        // All that can be replaced is a function's name behind `@@`, cut within a character.
        Ok(String::from_utf8_lossy(&self.patch(true)?).into_owned())
    }

    /// As [`Changes::try_diff_text`], but nothing at all when a directory cannot be read.
    pub fn diff_text(&self) -> String {
        self.try_diff_text().unwrap_or_default()
    }

    /// Applies the changes to the real directory: regular files, directories and links that stay inside. What could
    /// harm whoever uses the directory later is withheld, with the reason. Ignored files are committed too, and so is
    /// the rest of `.git`: the agent works in that repository.
    ///
    /// # Errors
    /// The directory cannot be opened. What fails for one path is in [`Commit::withheld`].
    pub fn commit(&self, real: &Path) -> io::Result<Commit> {
        commit::commit(self, real, || Real::open(CWD, real))
    }

    /// [`Changes::commit`] to the workspace itself.
    ///
    /// # Errors
    /// As [`Changes::commit`].
    pub fn commit_in_place(&self) -> io::Result<Commit> {
        commit::commit(self, &self.lower, || match self.itself()? {
            Some(held) => Real::open(held, Path::new(".")),
            None => Real::open(CWD, &self.lower),
        })
    }

    /// What was and is at every path that differs.
    fn pairs(&self) -> io::Result<BTreeMap<Vec<u8>, Pair>> {
        let mut found: BTreeMap<Vec<u8>, Pair> = BTreeMap::new();
        let Some(upper) = &self.upper else { return Ok(found) };
        let lower = self.lower()?;
        for node in self.nodes.iter().filter(|node| !danger::in_git(&node.path)) {
            if let What::Directory { opaque: false } = node.what {
                // A directory in the place of a file; otherwise it only leads to what changed.
                if let Some(old) = lower.side(&node.path)? {
                    found.entry(node.path.clone()).or_default().old = Some(old);
                }
                continue;
            }
            // All that was there before is gone, unless this or another node brings it back.
            lower.files(&node.path, &mut |path, old| found.entry(path).or_default().old = Some(old))?;
            let new = match node.what {
                What::File => Side::File { executable: node.mode & 0o100 != 0 },
                What::Link => Side::Link,
                _ => continue,
            };
            found.entry(node.path.clone()).or_default().new = Some(new);
            if found.len() > walk::MAX_NODES {
                return Err(io::Error::other(format!("more than {} changed paths", walk::MAX_NODES)));
            }
        }
        let ignored = ignored::Ignored::new(self, upper, &lower);
        found.retain(|path, pair| {
            !danger::in_git(path)
                && !unchanged(pair, path, upper, &lower)
                && (pair.old.is_some() || !ignored.is(path))
        });
        Ok(found)
    }

    /// The nodes by path.
    fn index(&self) -> HashMap<&[u8], &Node> {
        self.nodes.iter().map(|node| (node.path.as_slice(), node)).collect()
    }
}

/// Whether a path was copied up, but holds what it held.
fn unchanged(pair: &Pair, path: &[u8], upper: &Layer, lower: &Layer) -> bool {
    match (pair.old, pair.new) {
        (Some(old), Some(new)) if old != new => false,
        (Some(Side::File { .. }), Some(_)) => match (lower.file(path), upper.file(path)) {
            (Ok(mut old), Ok(mut new)) => same_bytes(&mut old, &mut new),
            _ => false,
        },
        (Some(Side::Link), Some(_)) => {
            matches!((lower.link(path), upper.link(path)), (Ok(old), Ok(new)) if old == new)
        }
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests;
