//! What an agent changed: the overlay's upper directory, read without trusting it.
//!
//! The agent wrote every name and byte here, so nothing is opened by a path string that it could have bent: each step is
//! an `openat` relative to a descriptor, following no link. No host git runs on it. Two things can become of the
//! changes: a [patch](Changes::diff), and the [filtering commit](Changes::commit) to the real directory.

mod commit;
mod ignored;
mod patch;
mod walk;

pub use commit::{Commit, Withheld};

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use walk::{Lower, Node, What};

/// What an agent changed in a workspace, relative to its untouched lower directory.
#[derive(Debug)]
pub struct Changes {
    upper: Option<OwnedFd>,
    lower: PathBuf,
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

/// A version of a path: what a git tree would hold of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    File { executable: bool, content: Content },
    Link(Vec<u8>),
}

/// Largest file whose content is put into a patch, in bytes. A larger one appears as `Binary files … differ`.
const MAX_PATCH_FILE: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Bytes(Vec<u8>),
    TooLarge(u64),
}

type Versions = (Option<Version>, Option<Version>);

impl Changes {
    /// Reads an overlay's upper directory; `lower` is the directory that it lies over.
    ///
    /// # Errors
    /// It cannot be read, or is deeper or larger than is read here.
    pub fn read(upper: OwnedFd, lower: &Path) -> io::Result<Changes> {
        let nodes = walk::walk(&upper)?;
        Ok(Changes { upper: Some(upper), lower: lower.into(), nodes })
    }

    /// No changes: the workspace was not writable.
    pub(crate) fn none(lower: &Path) -> Changes {
        Changes { upper: None, lower: lower.into(), nodes: Vec::new() }
    }

    /// Changed paths in git's order, as `git add -A` would see them: without `.git`, and without new files that a
    /// `.gitignore` names.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Change>> {
        let kind = |versions: &Versions| match versions {
            (None, _) => Kind::Added,
            (_, None) => Kind::Deleted,
            _ => Kind::Modified,
        };
        let path = |bytes: &[u8]| {
            PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
        };
        Ok(self.versions()?.iter().map(|(p, v)| Change { path: path(p), kind: kind(v) }).collect())
    }

    /// All changes as a git patch that `git apply` takes: text with three lines of context, binary files as literals.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn try_diff(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for (path, versions) in self.versions()? {
            patch::write(&mut out, &path, &versions);
        }
        Ok(out)
    }

    /// As [`Changes::try_diff`]; what cannot be read is left out.
    pub fn diff(&self) -> Vec<u8> {
        self.try_diff().unwrap_or_default()
    }

    /// The patch as text; bytes that are not UTF-8 are replaced.
    pub fn diff_text(&self) -> String {
        String::from_utf8_lossy(&self.diff()).into_owned()
    }

    /// Applies the changes to the real directory: regular files, directories and links that stay inside. What could
    /// harm whoever uses the directory later is withheld, with the reason.
    ///
    /// # Errors
    /// The directory cannot be opened. What fails for one path is in [`Commit::withheld`].
    pub fn commit(&self, real: &Path) -> io::Result<Commit> {
        commit::commit(self, real)
    }

    /// Old and new version of every path that differs.
    fn versions(&self) -> io::Result<BTreeMap<Vec<u8>, Versions>> {
        let Some(upper) = &self.upper else { return Ok(BTreeMap::new()) };
        let lower = Lower::open(&self.lower)?;
        let mut found: BTreeMap<Vec<u8>, Versions> = BTreeMap::new();
        for node in &self.nodes {
            if in_git(&node.path) {
                continue;
            }
            match &node.what {
                What::Special(_) => {}
                // All that was there before is gone, unless another node brings it back.
                What::Whiteout | What::Directory { opaque: true } => {
                    lower.files(&node.path, &mut |path, old| {
                        found.entry(path).or_default().0 = Some(old);
                    })?
                }
                What::Directory { opaque: false } => {
                    if let Some(old) = lower.version(&node.path)? {
                        found.entry(node.path.clone()).or_default().0 = Some(old);
                    }
                }
                What::File { .. } | What::Link => {
                    let new = walk::version(upper, node)?;
                    // A directory may have become a file.
                    lower.files(&node.path, &mut |path, old| {
                        found.entry(path).or_default().0 = Some(old);
                    })?;
                    found.entry(node.path.clone()).or_default().1 = Some(new);
                }
            }
        }
        found.retain(|path, (old, new)| old != new && !in_git(path));
        let ignored = ignored::Ignored::new(self, &lower);
        found.retain(|path, (old, _)| old.is_some() || !ignored.is(path));
        Ok(found)
    }
}

/// Whether a path is or lies in a `.git`.
fn in_git(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part == b".git")
}

#[cfg(test)]
mod tests;
