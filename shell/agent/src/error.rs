//! Why a run could not begin or go on. What goes wrong in one rollout is in its record.

/// Why a run could not begin or go on. Finished rollouts are in the journal all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Instances cannot be checked out; one line each.
    #[error("{0}")]
    Checkout(String),
    /// The server refuses every request, or is not there.
    #[error("{0}")]
    Server(String),
    /// One rollout after the other failed on our side.
    #[error("{0}")]
    GivenUp(String),
    /// The options do not fit together, or not to what the run folder holds.
    #[error("{0}")]
    Options(String),
    /// A file of the run folder.
    #[error(transparent)]
    Records(#[from] sbx_records::Error),
    /// The sandbox cannot be built.
    #[error(transparent)]
    Sandbox(#[from] sbx_runtime::Error),
}
