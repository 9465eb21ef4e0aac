//! The directory that an agent works in: an untouched lower directory, seen through an overlay.

use std::path::{Path, PathBuf};

/// A directory of the host, where it appears in the sandbox, and what comes with it. It is never written: changes go to
/// an overlay that vanishes with the sandbox, unless [`Changes`](crate::Changes) are taken from it.
///
/// ```
/// let workspace = sbx_runtime::Workspace::new("checkout").at("/workspace");
/// ```
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) lower: PathBuf,
    pub(crate) at: Option<PathBuf>,
    pub(crate) objects: Option<PathBuf>,
}

/// Where [`Workspace::objects`] appear in the sandbox; a checkout's `.git/objects/info/alternates` names it.
pub const OBJECTS: &str = "/.sbx/objects";

impl Workspace {
    /// A directory that appears under its own path.
    pub fn new(lower: impl AsRef<Path>) -> Workspace {
        Workspace { lower: lower.as_ref().into(), at: None, objects: None }
    }

    /// Sets where it appears in the sandbox, an absolute path. Default: the same path as on the host.
    #[must_use]
    pub fn at(mut self, at: impl AsRef<Path>) -> Workspace {
        self.at = Some(at.as_ref().into());
        self
    }

    /// A git object directory that appears read-only at [`OBJECTS`], shared by all rollouts of a commit.
    #[must_use]
    pub fn objects(mut self, objects: impl AsRef<Path>) -> Workspace {
        self.objects = Some(objects.as_ref().into());
        self
    }
}

impl<P: AsRef<Path>> From<P> for Workspace {
    fn from(lower: P) -> Workspace {
        Workspace::new(lower)
    }
}
