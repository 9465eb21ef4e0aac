//! The journal of a run folder: a rollout a line, synced before the next begins. It is the source of truth; all else in
//! the folder can be made again from it.

use crate::{Error, ExitStatus, Rollout};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Name of the journal in a run folder.
pub const JOURNAL: &str = "journal.jsonl";

/// The journal of a run folder, open for appending and locked against a second writer.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Length of all whole lines.
    len: u64,
}

impl Journal {
    /// Opens or creates the journal of a run folder, and hands every rollout that it holds to `seen`.
    ///
    /// A last line without its end, left by a crash, is cut off and kept in `journal.torn`.
    ///
    /// # Errors
    /// Another process holds it, a line is not a rollout, or the system says no.
    pub fn open(dir: &Path, mut seen: impl FnMut(Rollout)) -> Result<Journal, Error> {
        let path = dir.join(JOURNAL);
        let io = |e: std::io::Error| Error::io(path.display().to_string(), e);
        fs::create_dir_all(dir).map_err(io)?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::Busy { path: path.display().to_string() })?;
        let (len, torn) = read_lines(&file, &path, &mut |rollout, _| seen(rollout))?;
        if !torn.is_empty() {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(dir.join("journal.torn"))
                .and_then(|mut f| f.write_all(&torn).and_then(|()| f.write_all(b"\n")))
                .map_err(io)?;
            file.set_len(len).map_err(io)?;
        }
        file.seek(SeekFrom::Start(len)).map_err(io)?;
        Ok(Journal { file, path, len })
    }

    /// Appends a rollout; it is on the disk when this returns.
    ///
    /// # Errors
    /// The disk is full or failed. The journal then ends with its last whole line, and the next append can succeed.
    pub fn append(&mut self, rollout: &Rollout) -> Result<(), Error> {
        let io = |e: std::io::Error| Error::io(format!("appending to {}", self.path.display()), e);
        let mut line = serde_json::to_vec(rollout).map_err(|e| io(e.into()))?;
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Cut the torn line off again; freeing needs no room on the disk.
            let _ = self.file.set_len(self.len);
            let _ = self.file.seek(SeekFrom::Start(self.len));
            return Err(io(e));
        }
        self.len += line.len() as u64;
        Ok(())
    }
}

/// Hands every rollout of a run folder's journal to `seen`, in the order of ending. One is in memory at a time.
///
/// # Errors
/// There is no journal, or a line is not a rollout. A torn last line is ignored.
pub fn read_journal(dir: &Path, mut seen: impl FnMut(Rollout)) -> Result<(), Error> {
    let (file, path) = open_to_read(dir)?;
    read_lines(&file, &path, &mut |rollout, _| seen(rollout)).map(drop)
}

fn open_to_read(dir: &Path) -> Result<(File, PathBuf), Error> {
    let path = dir.join(JOURNAL);
    let what = || format!("{} (expected a run folder, as `sbx agent --out` makes it)", path.display());
    let file = File::open(&path).map_err(|e| Error::io(what(), e))?;
    Ok((file, path))
}

/// The rollouts of a journal in the order of a data set: by instance, then by number; each once.
///
/// Of several lines for one rollout the last counts, but an errored one never replaces another. Only names and places
/// are in memory, so a journal may be larger than that.
#[derive(Debug)]
pub struct Rollouts {
    file: File,
    path: PathBuf,
    places: Vec<(u64, u64)>,
}

impl Rollouts {
    /// Reads the names and places of a run folder's rollouts.
    ///
    /// # Errors
    /// There is no journal, or a line is not a rollout.
    pub fn open(dir: &Path) -> Result<Rollouts, Error> {
        let (file, path) = open_to_read(dir)?;
        let mut best: BTreeMap<(String, u32), (bool, (u64, u64))> = BTreeMap::new();
        read_lines(&file, &path, &mut |rollout, place| {
            let errored = rollout.exit_status == ExitStatus::Errored;
            let slot = best.entry((rollout.instance_id, rollout.rollout)).or_insert((errored, place));
            if !errored || slot.0 {
                *slot = (errored, place);
            }
        })?;
        Ok(Rollouts { file, path, places: best.into_values().map(|(_, place)| place).collect() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Reads one rollout after the other.
    pub fn iter(&self) -> impl Iterator<Item = Result<Rollout, Error>> {
        self.places.iter().map(|(at, len)| {
            let io = |e: std::io::Error| Error::io(format!("reading {}", self.path.display()), e);
            let mut line = vec![0; usize::try_from(*len).unwrap_or(0)];
            self.file.read_exact_at(&mut line, *at).map_err(io)?;
            serde_json::from_slice(&line).map_err(|e| io(e.into()))
        })
    }
}

/// Reads whole lines; returns their length in bytes, and what follows the last line's end.
fn read_lines(
    file: &File,
    path: &Path,
    seen: &mut dyn FnMut(Rollout, (u64, u64)),
) -> Result<(u64, Vec<u8>), Error> {
    let mut input = BufReader::new(file);
    let (mut len, mut number) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::io(format!("reading {}", path.display()), e))?;
        if read == 0 {
            return Ok((len, Vec::new()));
        }
        number += 1;
        if line.last() != Some(&b'\n') {
            return Ok((len, line));
        }
        let fault = |what: String| Error::Format(format!("{}:{number}: {what}", path.display()));
        let rollout: Rollout =
            serde_json::from_slice(&line).map_err(|e| fault(format!("expected a rollout: {e}")))?;
        if rollout.schema != Rollout::SCHEMA {
            return Err(fault(format!("schema: expected {:?}, found {:?}", Rollout::SCHEMA, rollout.schema)));
        }
        seen(rollout, (len, read as u64));
        len += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(n: u32) -> Rollout {
        Rollout { schema: Rollout::SCHEMA.into(), instance_id: "i".into(), rollout: n, ..Rollout::default() }
    }

    fn numbers(dir: &Path) -> Vec<u32> {
        let mut found = Vec::new();
        read_journal(dir, |r| found.push(r.rollout)).unwrap();
        found
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), |_| panic!("it is new")).unwrap();
        (0..3).for_each(|n| journal.append(&rollout(n)).unwrap());
        assert_eq!(numbers(dir.path()), [0, 1, 2]);
    }

    #[test]
    fn a_line_torn_anywhere_is_cut_off_and_kept_aside() {
        let whole = serde_json::to_vec(&rollout(7)).unwrap();
        for cut in 1..=whole.len() {
            let dir = tempfile::tempdir().unwrap();
            Journal::open(dir.path(), drop).unwrap().append(&rollout(0)).unwrap();
            let mut file = OpenOptions::new().append(true).open(dir.path().join(JOURNAL)).unwrap();
            file.write_all(&whole[..cut]).unwrap();
            let mut before = 0;
            let mut journal = Journal::open(dir.path(), |_| before += 1).unwrap();
            assert_eq!(before, 1);
            journal.append(&rollout(1)).unwrap();
            assert_eq!(numbers(dir.path()), [0, 1]);
            assert_eq!(fs::read(dir.path().join("journal.torn")).unwrap(), [&whole[..cut], b"\n"].concat());
        }
    }

    #[test]
    fn each_rollout_counts_once_and_an_error_never_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), drop).unwrap();
        let errored = ExitStatus::Errored;
        let good = ExitStatus::Submitted;
        for (n, status, model) in
            [(1, errored, "a"), (0, good, "b"), (1, good, "c"), (0, errored, "d"), (2, errored, "e")]
        {
            journal.append(&Rollout { exit_status: status, model: model.into(), ..rollout(n) }).unwrap();
        }
        let rollouts = Rollouts::open(dir.path()).unwrap();
        let models: Vec<_> = rollouts.iter().map(|r| r.unwrap().model).collect();
        assert_eq!(models, ["b", "c", "e"]);
    }

    #[test]
    fn a_second_writer_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Journal::open(dir.path(), drop).unwrap();
        assert!(matches!(Journal::open(dir.path(), drop), Err(Error::Busy { .. })));
    }

    #[test]
    fn a_foreign_line_names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(JOURNAL), "{\"a\":1}\n").unwrap();
        let error = Journal::open(dir.path(), drop).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:1: expected a rollout"), "{error}");
    }
}
