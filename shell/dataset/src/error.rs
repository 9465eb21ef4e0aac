//! Why a data set could not be written.

use std::io;

/// Why a data set could not be written. An older one is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal.
    #[error(transparent)]
    Records(#[from] sbx_records::Error),
    /// There is nothing to write.
    #[error("{0}: the journal holds no rollouts yet")]
    Empty(String),
    /// The shards of a run do not fit together.
    #[error("{0}")]
    Shards(String),
    /// Another process writes the same data set.
    #[error("{0}: another sbx is writing this data set; wait for it")]
    Busy(String),
    /// The parquet library.
    #[error("writing parquet into {folder}: {source}")]
    Parquet {
        /// The configuration's folder.
        folder: String,
        /// The library's reason, or the system's within.
        source: parquet::errors::ParquetError,
    },
    /// The page's template.
    #[error("report.html: {0}")]
    Template(#[from] minijinja::Error),
    /// The system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which file.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
}
