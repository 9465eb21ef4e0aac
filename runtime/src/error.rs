//! What can go wrong on our side. What an action does wrong is an [`Outcome`](crate::Outcome), never an error.

use std::io;

/// Why sbx itself could not do what was asked. Nothing was run with a wall missing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A policy is not valid; the message names file, line and key.
    #[error("{0}")]
    Policy(String),
    /// This host cannot raise a wall and the policy says `missing = "refuse"`.
    #[error(
        "this host cannot raise: {missing}; see `sbx doctor`, or set missing = \"report\" in the policy to run without"
    )]
    MissingWall {
        /// The walls' names, comma-separated.
        missing: String,
    },
    /// The workspace cannot be used.
    #[error("workspace {path}: {why}")]
    Workspace {
        /// The directory.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A step of the plan failed in the new sandbox.
    #[error("sandbox set-up failed at step {step} ({what}): {reason}{hint}")]
    Setup {
        /// Index of the step, from 0, as in `sbx plan`.
        step: usize,
        /// The step, in words.
        what: String,
        /// The system's reason.
        reason: io::Error,
        /// What to do about it, or nothing.
        hint: &'static str,
    },
    /// The sandbox died under us: process 1 is gone.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// A program or file that the sandbox shows changed while it was opened from a record of the last time
    /// ([`Recorded`](crate::Recorded)): what has begun is to be dropped. Opened again, the sandbox shows the new one.
    #[error("a program of the sandbox has changed while it was opened")]
    Changed,
    /// A session is asked for what it cannot do now.
    #[error("{0}")]
    Session(String),
    /// A system call of ours failed.
    #[error("{what}: {reason}")]
    System {
        /// What was being done, and to which object.
        what: String,
        /// The system's reason.
        reason: io::Error,
    },
}

impl Error {
    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Error {
        Error::System { what: what.into(), reason: source.into() }
    }
}
