//! Writes the data set of a run folder: new files first, then the names, the card last.

use crate::stats::{Counter, Stats};
use crate::table::{CARD, Column, FULL, Rows, schema};
use crate::{Error, card, report};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sbx_records::{Rollouts, replace_file};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Rows of a row group at most.
const GROUP_ROWS: usize = 1_000;
/// Bytes of text of a row group at most, roughly.
const GROUP_BYTES: usize = 48 << 20;
/// Bytes of a shard at most, roughly; the hub's own limit for a file of a data set is 500 MB.
const SHARD_BYTES: u64 = 450_000_000;

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The statistics of the card.
    pub stats: Stats,
    /// Files, relative to the run folder.
    pub files: Vec<PathBuf>,
}

/// Writes `data/*.parquet`, `full/*.parquet`, `README.md` and `report.html` into a run folder, from its journal.
///
/// # Errors
/// The journal cannot be read, or the disk is full. What was there before is then still there.
pub fn write(dir: &Path) -> Result<Written, Error> {
    let rollouts = Rollouts::open(dir)?;
    if rollouts.is_empty() {
        return Err(Error::Empty(dir.display().to_string()));
    }
    let mut counter = Counter::new();
    let mut card_shards = Shards::new(dir, "data", &CARD)?;
    let mut full_shards = Shards::new(dir, "full", &FULL)?;
    for rollout in rollouts.iter() {
        let rollout = rollout?;
        counter.add(&rollout);
        card_shards.push(&rollout)?;
        full_shards.push(&rollout)?;
    }
    let stats = counter.finish();
    let (card_shards, full_shards) = (card_shards.close()?, full_shards.close()?);
    let sizes = [card_shards.size()?, full_shards.size()?];
    let mut files = card_shards.publish()?;
    files.extend(full_shards.publish()?);
    report::write(dir, &rollouts, &stats)?;
    let text = card::render(&stats, &rollouts, sizes)?;
    replace_file(&dir.join("README.md"), |f| f.write_all(text.as_bytes()))?;
    files.extend(["README.md", "report.html"].map(PathBuf::from));
    Ok(Written { stats, files })
}

/// Parquet files of one configuration, under temporary names until all are whole.
struct Shards {
    dir: PathBuf,
    folder: &'static str,
    columns: &'static [Column],
    rows: Rows,
    writer: Option<ArrowWriter<File>>,
    drafts: Vec<PathBuf>,
    published: bool,
}

impl Shards {
    fn new(dir: &Path, folder: &'static str, columns: &'static [Column]) -> Result<Shards, Error> {
        let path = dir.join(folder);
        fs::create_dir_all(&path).map_err(|e| io(&path, e))?;
        let rows = Rows::new(columns);
        Ok(Shards {
            dir: dir.into(),
            folder,
            columns,
            rows,
            writer: None,
            drafts: Vec::new(),
            published: false,
        })
    }

    fn push(&mut self, rollout: &sbx_records::Rollout) -> Result<(), Error> {
        self.rows.push(rollout);
        if self.rows.len >= GROUP_ROWS || self.rows.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the rows as a row group.
    fn flush(&mut self) -> Result<(), Error> {
        if self.rows.len == 0 {
            return Ok(());
        }
        let batch = self.rows.take()?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.draft()?,
        };
        writer.write(&batch)?;
        writer.flush()?;
        if writer.bytes_written() as u64 >= SHARD_BYTES {
            finish(writer)?;
        } else {
            self.writer = Some(writer);
        }
        Ok(())
    }

    fn draft(&mut self) -> Result<ArrowWriter<File>, Error> {
        let name = format!(".draft-{}-{}.parquet", std::process::id(), self.drafts.len());
        let path = self.dir.join(self.folder).join(name);
        let file = File::create(&path).map_err(|e| io(&path, e))?;
        self.drafts.push(path);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_statistics_enabled(EnabledStatistics::Page)
            .build();
        Ok(ArrowWriter::try_new(file, schema(self.columns), Some(properties))?)
    }

    fn close(mut self) -> Result<Shards, Error> {
        self.flush()?;
        if let Some(writer) = self.writer.take() {
            finish(writer)?;
        }
        Ok(self)
    }

    /// Bytes of all files.
    fn size(&self) -> Result<u64, Error> {
        self.drafts.iter().map(|p| fs::metadata(p).map(|m| m.len()).map_err(|e| io(p, e))).sum()
    }

    /// Gives the files their names and removes those of an older data set.
    fn publish(mut self) -> Result<Vec<PathBuf>, Error> {
        let count = self.drafts.len();
        let mut names = Vec::new();
        for (i, draft) in self.drafts.iter().enumerate() {
            let name = PathBuf::from(self.folder).join(format!("train-{i:05}-of-{count:05}.parquet"));
            fs::rename(draft, self.dir.join(&name)).map_err(|e| io(draft, e))?;
            names.push(name);
        }
        self.published = true;
        let folder = self.dir.join(self.folder);
        for entry in fs::read_dir(&folder).map_err(|e| io(&folder, e))?.flatten() {
            let ours = names.iter().any(|n| n.file_name() == Some(&entry.file_name()));
            if !ours && entry.path().extension().is_some_and(|e| e == "parquet") {
                fs::remove_file(entry.path()).map_err(|e| io(&entry.path(), e))?;
            }
        }
        Ok(names)
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        if !self.published {
            for draft in &self.drafts {
                let _ = fs::remove_file(draft);
            }
        }
    }
}

fn finish(writer: ArrowWriter<File>) -> Result<(), Error> {
    let file = writer.into_inner()?;
    file.sync_data().map_err(|e| io(Path::new("a parquet file"), e))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { what: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use sbx_records::{ExitStatus, Journal, Message, Rollout};

    fn rollout(n: u32) -> Rollout {
        Rollout {
            schema: Rollout::SCHEMA.into(),
            instance_id: "org__name-1".into(),
            rollout: n,
            exit_status: ExitStatus::Submitted,
            exit_status_detail: "Submitted".into(),
            messages: vec![
                Message::new("system", "s\0é"),
                Message::new("assistant", "<script>alert(1)</script>"),
            ],
            patch: "diff".into(),
            ..Rollout::default()
        }
    }

    #[test]
    fn the_card_has_its_ten_columns_and_all_rows_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), drop).unwrap();
        [2, 0, 1].iter().for_each(|n| journal.append(&rollout(*n)).unwrap());
        journal.append(&Rollout { messages: vec![], ..rollout(3) }).unwrap();
        journal
            .append(&Rollout { messages: vec![Message::new("user", "x".repeat(1 << 20))], ..rollout(4) })
            .unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("data/train-00000-of-00002.parquet"), "old").unwrap();
        let written = write(dir.path()).unwrap();
        assert_eq!((written.stats.rollouts, written.stats.submitted), (5, 5));
        let files: Vec<_> =
            fs::read_dir(dir.path().join("data")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(files, ["train-00000-of-00001.parquet"]);
        let file = File::open(dir.path().join("data/train-00000-of-00001.parquet")).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let names: Vec<_> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, CARD.map(|(n, _)| n));
        assert!(reader.schema().metadata()["huggingface"].contains("\"messages\":[{\"role\""));
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 5);
        let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
        let card = fs::read_to_string(dir.path().join("README.md")).unwrap();
        assert!(card.starts_with("---\n") && card.contains("| Submitted | 5 (100.0 %) |"), "{card}");
    }

    #[test]
    fn a_run_without_rollouts_is_an_error_and_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(write(dir.path()), Err(Error::Records(_))));
        drop(Journal::open(dir.path(), drop).unwrap());
        assert!(matches!(write(dir.path()), Err(Error::Empty(_))));
        assert!(!dir.path().join("data").exists());
    }
}
