//! Reading a journal: as it was written, or in the order of a data set.

use crate::instance::check_id;
use crate::{Error, ExitStatus, JOURNAL, Rollout, from_json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Longest line of a journal, in bytes.
pub(crate) const MAX_LINE_BYTES: u64 = 1 << 30;

/// Hands every rollout of a run folder's journal to `seen`, in the order of ending. One is in memory at a time.
///
/// # Errors
/// There is no journal, or a line is not a rollout, or its name cannot be a file's. A torn last line is ignored.
pub fn read_journal(dir: &Path, mut seen: impl FnMut(Rollout)) -> Result<(), Error> {
    let (file, path) = open(dir)?;
    read_lines(&file, &path, &mut |rollout, _| seen(rollout)).map(drop)
}

/// The rollouts of a journal in the order of a data set: by instance, then by number; each once.
///
/// Of several lines for one rollout the last counts, but an errored one never replaces another. Only names and places
/// are in memory, so a journal may be larger than that.
#[derive(Debug)]
pub struct Rollouts {
    journals: Vec<(File, PathBuf)>,
    /// Journal and place of each.
    places: Vec<(usize, Place)>,
    torn: Vec<PathBuf>,
}

/// Where a line is: its first byte and its length.
type Place = (u64, u64);

impl Rollouts {
    /// Reads the names and places of a run folder's rollouts.
    ///
    /// # Errors
    /// There is no journal, or a line is not a rollout.
    pub fn open(dir: &Path) -> Result<Rollouts, Error> {
        Rollouts::open_all(&[dir])
    }

    /// Like [`Rollouts::open`], with several run folders as one; of one rollout in two of them the later folder's counts.
    ///
    /// # Errors
    /// Those of [`Rollouts::open`].
    pub fn open_all(dirs: &[impl AsRef<Path>]) -> Result<Rollouts, Error> {
        let journals = dirs.iter().map(|dir| open(dir.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let mut best: BTreeMap<(String, u32), (bool, (usize, Place))> = BTreeMap::new();
        let mut torn = Vec::new();
        for (journal, (file, path)) in journals.iter().enumerate() {
            let (_, rest) = read_lines(file, path, &mut |rollout, place| {
                let errored = rollout.exit_status == ExitStatus::Errored;
                let found = (errored, (journal, place));
                let slot = best.entry((rollout.instance_id, rollout.rollout)).or_insert(found);
                if !errored || slot.0 {
                    *slot = found;
                }
            })?;
            torn.extend((rest > 0).then(|| path.clone()));
        }
        Ok(Rollouts { journals, places: best.into_values().map(|(_, place)| place).collect(), torn })
    }

    /// Journals whose last line has no end, and was left out: a run was killed, or is writing it just now, or the file is a
    /// part of one.
    pub fn torn(&self) -> &[PathBuf] {
        &self.torn
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Reads one rollout by its place in the order; `None` beyond the last.
    pub fn get(&self, index: usize) -> Option<Result<Rollout, Error>> {
        self.places.get(index).map(|place| self.read(*place))
    }

    /// Reads one rollout after the other.
    pub fn iter(&self) -> impl Iterator<Item = Result<Rollout, Error>> {
        self.places.iter().map(|place| self.read(*place))
    }

    fn read(&self, (journal, (at, len)): (usize, Place)) -> Result<Rollout, Error> {
        let (file, path) = &self.journals[journal];
        let io = |e: std::io::Error| Error::io(format!("reading {}", path.display()), e);
        // No longer than MAX_LINE_BYTES, which fits.
        let mut line = vec![0; len as usize];
        file.read_exact_at(&mut line, at).map_err(io)?;
        from_json(&line).map_err(|e| io(e.into()))
    }
}

fn open(dir: &Path) -> Result<(File, PathBuf), Error> {
    let path = dir.join(JOURNAL);
    let what = || format!("{} (expected a run folder, as `sbx agent --out` makes it)", path.display());
    let file = File::open(&path).map_err(|e| Error::io(what(), e))?;
    Ok((file, path))
}

/// Reads whole lines; returns their length in bytes, and the length of what follows the last line's end.
pub(crate) fn read_lines(
    file: &File,
    path: &Path,
    seen: &mut dyn FnMut(Rollout, Place),
) -> Result<(u64, u64), Error> {
    let mut input = BufReader::new(file);
    let (mut len, mut number) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|e| Error::io(format!("reading {}", path.display()), e))? as u64;
        number += 1;
        let fault = |what: String| Error::Format(format!("{}:{number}: {what}", path.display()));
        if read > MAX_LINE_BYTES {
            return Err(fault(format!(
                "expected a rollout, found a line of more than {MAX_LINE_BYTES} bytes"
            )));
        }
        if line.last() != Some(&b'\n') {
            return Ok((len, read));
        }
        let rollout: Rollout = from_json(&line).map_err(|e| fault(format!("expected a rollout: {e}")))?;
        if rollout.schema != Rollout::SCHEMA {
            return Err(fault(format!("schema: expected {:?}, found {:?}", Rollout::SCHEMA, rollout.schema)));
        }
        // Files and folders are named after it, and the line may be anybody's.
        check_id(&rollout.instance_id).map_err(fault)?;
        seen(rollout, (len, read));
        len += read;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Journal;

    #[test]
    fn each_rollout_counts_once_and_an_error_never_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), drop).unwrap();
        let (errored, good) = (ExitStatus::Errored, ExitStatus::Submitted);
        for (rollout, exit_status, model) in
            [(1, errored, "a"), (0, good, "b"), (1, good, "c"), (0, errored, "d"), (2, errored, "e")]
        {
            let (schema, instance_id, model) = (Rollout::SCHEMA.into(), "i".into(), model.into());
            let rollout = Rollout { schema, instance_id, rollout, exit_status, model, ..Rollout::default() };
            journal.append(&rollout).unwrap();
        }
        let rollouts = Rollouts::open(dir.path()).unwrap();
        let models: Vec<_> = rollouts.iter().map(|r| r.unwrap().model).collect();
        assert_eq!(models, ["b", "c", "e"]);
        assert_eq!(rollouts.get(1).unwrap().unwrap().model, "c");
        assert!(rollouts.get(3).is_none());
    }

    #[test]
    fn a_foreign_line_names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(JOURNAL), "{\"a\":1}\n").unwrap();
        let error = Journal::open(dir.path(), drop).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:1: expected a rollout"), "{error}");
    }

    #[test]
    fn a_lone_surrogate_in_a_line_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (schema, instance_id, model) = (Rollout::SCHEMA.into(), "i".into(), "MODEL".into());
        let rollout = Rollout { schema, instance_id, model, ..Rollout::default() };
        let line = serde_json::to_string(&rollout).unwrap().replace("MODEL", r"m\udcffm");
        std::fs::write(dir.path().join(JOURNAL), line + "\n").unwrap();
        let rollouts = Rollouts::open(dir.path()).unwrap();
        assert_eq!(rollouts.get(0).unwrap().unwrap().model, "m\u{fffd}m");
    }
}
