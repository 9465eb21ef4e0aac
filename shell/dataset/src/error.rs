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
    /// The parquet library.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The arrow library.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
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
