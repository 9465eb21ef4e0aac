//! The directory that an agent works in: an untouched lower directory, seen through an overlay.

use crate::Error;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A directory of the host, where it appears in the sandbox, and what comes with it. It is never written: changes go to
/// an overlay that vanishes with the sandbox, unless [`Changes`](crate::Changes) are taken from it.
///
/// ```
/// let workspace = sbx_runtime::Workspace::new("checkout").at("/workspace");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// The directory of the host.
    pub fn lower(&self) -> &Path {
        &self.lower
    }

    /// Where it appears in the sandbox.
    pub fn place(&self) -> &Path {
        self.at.as_deref().unwrap_or(&self.lower)
    }

    /// The git object directory of the host, if there is one.
    pub fn objects_dir(&self) -> Option<&Path> {
        self.objects.as_deref()
    }

    /// Checks that its place in the sandbox is none of the system's.
    ///
    /// # Errors
    /// It is, or it is no absolute path.
    pub fn check_place(&self) -> Result<(), Error> {
        crate::plan::check_place(self.place(), &self.lower)
    }

    /// Resolves the paths of the host, so that no link on the way decides later what is opened.
    ///
    /// # Errors
    /// One of them is not a directory, or cannot be reached.
    pub fn resolved(self) -> Result<Workspace, Error> {
        let resolve = |path: &PathBuf| {
            let fault = |why: String| Error::Workspace { path: path.display().to_string(), why };
            let real = std::fs::canonicalize(path).map_err(|e| fault(e.to_string()))?;
            // A path may have come out longer than the kernel takes.
            let is_dir = real.metadata().map_err(|e| fault(e.to_string()))?.is_dir();
            if is_dir { Ok(real) } else { Err(fault("expected a directory".into())) }
        };
        let lower = resolve(&self.lower)?;
        let objects = self.objects.as_ref().map(resolve).transpose()?;
        let at = self.at.or_else(|| Some(lower.clone()));
        Ok(Workspace { lower, at, objects })
    }

    /// Opens the directory, whose path was resolved: a link that has come into it since leads nowhere.
    pub(crate) fn open(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(CWD, &self.lower, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(|e| {
            Error::Workspace {
                path: self.lower.display().to_string(),
                why: std::io::Error::from(e).to_string(),
            }
        })
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
