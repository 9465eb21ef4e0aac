//! The parquet files of one configuration. They have no names until all that is to be written is written.

use crate::Error;
use crate::table::{Column, Rows, schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sbx_records::{Draft, Rollout};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Rows of a row group at most.
const GROUP_ROWS: usize = 1_000;
/// Bytes of text of a row group at most, roughly; the hub's viewer reads row groups whole.
const GROUP_BYTES: usize = 48 << 20;
/// From this part of either bound on, a row group ends with a rollout whose name says so: one of so many.
const GROUP_PART: usize = 4;
const GROUP_ENDS: u64 = 64;
/// Rows of a page at most, so that a reader of one row decodes little else.
const PAGE_ROWS: usize = 256;
/// Values between two looks at a page's size: messages may be long.
const BATCH_VALUES: usize = 64;
/// Bytes of a shard from which another one begins; with its last row group it stays below the hub's 500 MB.
pub(crate) const SHARD_BYTES: u64 = 450_000_000;

/// Parquet files of one configuration, being written.
pub(crate) struct Shards {
    folder: PathBuf,
    columns: &'static [Column],
    rows: Rows,
    shard_bytes: u64,
    writer: Option<ArrowWriter<File>>,
    drafts: Vec<Draft>,
    /// Bytes before compression.
    bytes: u64,
}

impl Shards {
    pub(crate) fn new(folder: PathBuf, columns: &'static [Column], shard_bytes: u64) -> Shards {
        let rows = Rows::new(columns);
        Shards { folder, columns, rows, shard_bytes, writer: None, drafts: Vec::new(), bytes: 0 }
    }

    pub(crate) fn push(&mut self, rollout: &Rollout) -> Result<(), Error> {
        self.rows.push(rollout);
        let bytes = self.rows.bytes();
        let full = |part| self.rows.len >= GROUP_ROWS / part || bytes >= GROUP_BYTES / part;
        if full(1) || full(GROUP_PART) && ends_group(rollout) {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the rows as a row group.
    fn flush(&mut self) -> Result<(), Error> {
        if self.rows.len == 0 {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin()?,
        };
        let written = self.rows.take().map_err(ParquetError::from).and_then(|rows| {
            writer.write(&rows)?;
            writer.flush()
        });
        written.map_err(|e| self.fault(e))?;
        if writer.bytes_written() as u64 >= self.shard_bytes {
            return self.end(writer);
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn fault(&self, reason: ParquetError) -> Error {
        Error::Parquet { folder: self.folder.display().to_string(), reason }
    }

    fn begin(&mut self) -> Result<ArrowWriter<File>, Error> {
        let draft = Draft::create(&self.folder.join("train.parquet"))?;
        let file = draft.file()?;
        self.drafts.push(draft);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a level of zstd")))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(BATCH_VALUES)
            // Not `set_content_defined_chunking`: where a chunk ends and nothing waits for a page, parquet 60 writes a
            // page without values, and pyarrow reads no row of it (apache/arrow-rs#10929).
            .build();
        ArrowWriter::try_new(file, schema(self.columns), Some(properties)).map_err(|e| self.fault(e))
    }

    fn end(&mut self, writer: ArrowWriter<File>) -> Result<(), Error> {
        let metadata = writer.close().map_err(|e| self.fault(e))?;
        let groups = metadata.row_groups().iter();
        self.bytes += groups.map(|g| u64::try_from(g.total_byte_size()).unwrap_or(0)).sum::<u64>();
        // A full disk shows here at the latest, while the old files still have their names.
        self.drafts.last().map_or(Ok(()), Draft::sync)?;
        Ok(())
    }

    /// Ends the last file.
    pub(crate) fn finish(mut self) -> Result<Finished, Error> {
        self.flush()?;
        if let Some(writer) = self.writer.take() {
            self.end(writer)?;
        }
        let sizes: Result<Vec<u64>, _> = self.drafts.iter().map(Draft::size).collect();
        let sizes = Sizes { files: sizes?.iter().sum(), values: self.bytes };
        Ok(Finished { folder: self.folder, drafts: self.drafts, sizes })
    }
}

/// Bytes of a configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of the files.
    pub files: u64,
    /// Of their values before compression.
    pub values: u64,
}

/// Parquet files of one configuration, whole and on the disk, but without their names.
pub(crate) struct Finished {
    folder: PathBuf,
    drafts: Vec<Draft>,
    pub sizes: Sizes,
}

impl Finished {
    /// Gives the files their names, then removes the shards of an older data set. Returns the names.
    pub(crate) fn publish(self) -> Result<Vec<PathBuf>, Error> {
        let count = self.drafts.len();
        let mut names = Vec::new();
        for (i, draft) in self.drafts.into_iter().enumerate() {
            let name = self.folder.join(format!("train-{i:05}-of-{count:05}.parquet"));
            draft.publish(&name)?;
            names.push(name);
        }
        let io = |reason| Error::Io { what: self.folder.display().to_string(), reason };
        for entry in fs::read_dir(&self.folder).map_err(io)?.flatten() {
            let path = entry.path();
            if is_shard(&path) && !names.contains(&path) {
                fs::remove_file(&path).map_err(io)?;
            }
        }
        File::open(&self.folder).and_then(|f| f.sync_all()).map_err(io)?;
        Ok(names)
    }
}

/// Whether a row group may end with this rollout. The rollout says so and not a count, so that a row more or less moves
/// one row group of an upload, and the others stay as they were.
fn ends_group(rollout: &Rollout) -> bool {
    xxh3_64(format!("{}/{}", rollout.instance_id, rollout.rollout).as_bytes()).is_multiple_of(GROUP_ENDS)
}

/// Whether a file has a shard's name; others in the folder are not ours to remove.
fn is_shard(path: &Path) -> bool {
    let number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    path.file_name()
        .and_then(|n| n.to_str()?.strip_prefix("train-")?.strip_suffix(".parquet")?.split_once("-of-"))
        .is_some_and(|(n, of)| number(n) && number(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{CARD, FULL};
    use parquet::basic::PageType;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use sbx_records::Message;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn shards_are_numbered_and_older_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        for old in [
            "train-00000-of-00007.parquet",
            "train-00006-of-00007.parquet",
            "train-mine.parquet",
            "test.parquet",
        ] {
            fs::write(dir.path().join(old), "old").unwrap();
        }
        // Every row group is a shard.
        let mut shards = Shards::new(dir.path().into(), &CARD, 1);
        for _ in 0..2 * GROUP_ROWS + 1 {
            shards.push(&Rollout::default()).unwrap();
        }
        let finished = shards.finish().unwrap();
        assert!(names(dir.path()).contains(&"train-00006-of-00007.parquet".into()));
        assert!(finished.sizes.files > 0 && finished.sizes.values > 0);
        assert_eq!(finished.publish().unwrap().len(), 3);
        assert_eq!(
            names(dir.path()),
            [
                "test.parquet",
                "train-00000-of-00003.parquet",
                "train-00001-of-00003.parquet",
                "train-00002-of-00003.parquet",
                "train-mine.parquet"
            ]
        );
    }

    #[test]
    fn what_is_not_published_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut shards = Shards::new(dir.path().into(), &CARD, SHARD_BYTES);
        shards.push(&Rollout::default()).unwrap();
        drop(shards.finish().unwrap());
        assert!(names(dir.path()).is_empty());
    }

    /// A rollout whose texts have so many bytes, wherever the tables have a text.
    fn long(rollout: u32, bytes: usize) -> Rollout {
        let text = || "sbx ".repeat(bytes / 4 + 1)[..bytes].to_string();
        let message = Message {
            reasoning_content: Some(text()),
            tool_calls: Some(serde_json::json!([{"function": {"name": text(), "arguments": text()}}])),
            tool_call_id: Some(text()),
            name: Some(text()),
            ..Message::new(&text(), text())
        };
        Rollout {
            instance_id: text(),
            rollout,
            repo: text(),
            base_commit: text(),
            model: text(),
            harness: text(),
            exit_status_detail: text(),
            patch: text(),
            submission: text(),
            final_observation: Some(text()),
            messages: vec![message],
            policy: sbx_records::PolicyStamp { name: text(), sha256: text() },
            enforced: vec![text()],
            missing: vec![text()],
            sbx_version: text(),
            ..Rollout::default()
        }
    }

    /// The files' rows, and how many values each of their data pages has.
    fn read(files: &[PathBuf]) -> (usize, Vec<u32>) {
        let (mut rows, mut pages) = (0, Vec::new());
        for file in files {
            let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
            for group in 0..reader.num_row_groups() {
                let group = reader.get_row_group(group).unwrap();
                for column in 0..group.num_columns() {
                    let all = group.get_column_page_reader(column).unwrap().map(Result::unwrap);
                    // The dictionary of a column without values has none.
                    let data = all.filter(|page| page.page_type() != PageType::DICTIONARY_PAGE);
                    pages.extend(data.map(|page| page.num_values()));
                }
            }
            rows += reader.get_row_iter(None).unwrap().map(Result::unwrap).count();
        }
        (rows, pages)
    }

    #[test]
    fn a_long_text_makes_no_page_without_values() {
        const LONG: [usize; 3] = [(1 << 20) - 1, 1 << 20, 5 << 20];
        for (bytes, place) in LONG.into_iter().flat_map(|bytes| [0, 1, 2].map(|place| (bytes, place))) {
            let dir = tempfile::tempdir().unwrap();
            let mut shards = Shards::new(dir.path().into(), &FULL, SHARD_BYTES);
            for row in 0..3 {
                shards.push(&long(row, if row == place { bytes } else { 1 })).unwrap();
            }
            let (rows, pages) = read(&shards.finish().unwrap().publish().unwrap());
            assert_eq!(rows, 3);
            assert!(!pages.contains(&0), "{bytes} bytes in row {place}");
        }
    }

    #[test]
    fn texts_of_every_column_count_where_a_row_group_ends() {
        let text = || "x".repeat(GROUP_BYTES / 8);
        let call = serde_json::json!([{"function": {"name": "bash", "arguments": text()}}]);
        let message = Message { tool_calls: Some(call), ..Message::new("assistant", "") };
        for rollout in [
            Rollout { messages: vec![message], ..Rollout::default() },
            Rollout { final_observation: Some(text()), ..Rollout::default() },
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut shards = Shards::new(dir.path().into(), &FULL, SHARD_BYTES);
            (0..20).for_each(|_| shards.push(&rollout).unwrap());
            let files = shards.finish().unwrap().publish().unwrap();
            let reader = SerializedFileReader::new(File::open(&files[0]).unwrap()).unwrap();
            assert_eq!(reader.num_row_groups(), 3);
        }
    }

    /// The bytes of every row group.
    fn groups(skipped: u32) -> Vec<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let mut shards = Shards::new(dir.path().into(), &FULL, SHARD_BYTES);
        for row in (0..3 * GROUP_ROWS as u32).filter(|row| *row != skipped) {
            shards
                .push(&Rollout {
                    instance_id: format!("i{row}"),
                    patch: row.to_string(),
                    ..Rollout::default()
                })
                .unwrap();
        }
        let names = shards.finish().unwrap().publish().unwrap();
        let bytes = fs::read(&names[0]).unwrap();
        let reader = SerializedFileReader::new(File::open(&names[0]).unwrap()).unwrap();
        let groups = reader.metadata().row_groups().iter();
        groups
            .map(|group| {
                let ranges = group.columns().iter().map(|c| c.byte_range());
                ranges.flat_map(|(at, len)| &bytes[at as usize..(at + len) as usize]).copied().collect()
            })
            .collect()
    }

    #[test]
    fn a_row_less_moves_one_row_group() {
        let (all, less) = (groups(u32::MAX), groups(10));
        assert!(all.len() > 3 && all.len() == less.len(), "{} {}", all.len(), less.len());
        assert!(all[0] != less[0] && all[1..] == less[1..]);
    }
}
