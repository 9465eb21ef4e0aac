//! Writes the data set of a run folder: everything under other names first, then the names.

use crate::plots::Points;
use crate::shards::{SHARD_BYTES, Shards};
use crate::stats::{Counter, Stats};
use crate::table::{CARD, FULL};
use crate::uniques::Diversity;
use crate::{Error, card, report};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sbx_records::{Draft, Rollouts, remove_drafts};
use std::fs::File;
use std::path::{Path, PathBuf};

/// How a data set is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetOptions {
    /// How repetitions are told; exactly by default.
    pub diversity: Diversity,
    /// Conversations that `report.html` holds at most; 200 by default. All are in the parquet files.
    pub conversations: usize,
}

impl Default for DatasetOptions {
    fn default() -> DatasetOptions {
        DatasetOptions { diversity: Diversity::default(), conversations: 200 }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The statistics of the card.
    pub stats: Stats,
    /// Files, relative to the run folder.
    pub files: Vec<PathBuf>,
    /// Journals whose last line has no end, and was left out.
    pub torn: Vec<PathBuf>,
}

/// Writes `data/*.parquet`, `full/*.parquet`, `README.md` and `report.html` into a run folder, from its journal.
///
/// The rows are in the order of instance and rollout, whatever the journal's is.
///
/// # Errors
/// The journal cannot be read or holds nothing, another process writes the same data set, or the disk is full. What was
/// there before is then still there.
pub fn write(dir: &Path) -> Result<Written, Error> {
    write_with(dir, &DatasetOptions::default())
}

/// Like [`write()`], with options.
///
/// # Errors
/// Those of [`write()`].
pub fn write_with(dir: &Path, options: &DatasetOptions) -> Result<Written, Error> {
    let rollouts = Rollouts::open(dir)?;
    if rollouts.is_empty() {
        return Err(Error::Empty(dir.display().to_string()));
    }
    let _lock = lock(dir)?;
    let (data, full) = (dir.join("data"), dir.join("full"));
    [dir, &data, &full].into_iter().for_each(remove_drafts);
    let mut counter = Counter::new(options.diversity);
    let mut data = Shards::new(data, &CARD, SHARD_BYTES);
    let mut full = Shards::new(full, &FULL, SHARD_BYTES);
    let mut points = Points::default();
    for rollout in rollouts.iter() {
        let rollout = rollout?;
        points.add(&rollout);
        counter.add(&rollout, |row| rollouts.get(row).unwrap_or_else(|| Ok(Default::default())))?;
        data.push(&rollout)?;
        full.push(&rollout)?;
    }
    let stats = counter.finish();
    let (data, full) = (data.finish()?, full.finish()?);
    let (page, readme) = (dir.join("report.html"), dir.join("README.md"));
    let page_draft = report::draft(&page, &rollouts, &stats, &points, options.conversations)?;
    let card = card::render(&stats, &rollouts, [data.sizes, full.sizes])?;
    let card_draft = Draft::write(&readme, |f| f.write_all(card.as_bytes()))?;
    page_draft.sync()?;
    card_draft.sync()?;
    // From here on nothing needs room on the disk. The card comes last: it tells the number of rows.
    let mut files = data.publish()?;
    files.extend(full.publish()?);
    page_draft.publish(&page)?;
    card_draft.publish(&readme)?;
    files.extend([readme, page]);
    let files = files.iter().map(|f| f.strip_prefix(dir).unwrap_or(f).to_path_buf()).collect();
    Ok(Written { stats, files, torn: rollouts.torn().to_vec() })
}

/// Held while a data set is written. The folder itself is locked, so that no lock file remains.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = || dir.display().to_string();
    let io = |reason| Error::Io { what: path(), reason };
    let file = File::open(dir).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Error::Busy(path())),
        Err(e) => Err(io(e.into())),
    }
}
