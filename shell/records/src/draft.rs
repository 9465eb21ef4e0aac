//! Whole files or none: written under another name, synced, renamed.

use crate::Error;
use crate::trajectory::TRAJECTORIES;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that has no name yet. Dropped without one, it is gone.
///
/// ```
/// # use std::io::Write;
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("notes/today.txt");
/// let draft = sbx_records::Draft::write(&path, |file| file.write_all(b"whole"))?;
/// assert!(!path.exists());
/// draft.publish(&path)?;
/// assert_eq!(std::fs::read(&path)?, b"whole");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Draft {
    file: File,
    temporary: PathBuf,
}

impl Draft {
    /// Creates an empty draft beside `path`, and the folder if there is none.
    ///
    /// # Errors
    /// The system says no.
    pub fn create(path: &Path) -> Result<Draft, Error> {
        let io = |e| writing(path, e);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(io)?;
        }
        let temporary = beside(path);
        let file = File::create(&temporary).map_err(io)?;
        Ok(Draft { file, temporary })
    }

    /// Creates a draft beside `path` and writes it.
    ///
    /// # Errors
    /// The system says no, or `write` does.
    pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Draft, Error> {
        let draft = Draft::create(path)?;
        let mut buffer = BufWriter::new(&draft.file);
        write(&mut buffer).and_then(|()| buffer.flush()).map_err(|e| writing(path, e))?;
        drop(buffer);
        Ok(draft)
    }

    /// Returns the open file, for a writer that wants one of its own.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn file(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|e| writing(&self.temporary, e))
    }

    /// Bytes written up to now.
    ///
    /// # Errors
    /// The system says no.
    pub fn size(&self) -> Result<u64, Error> {
        self.file.metadata().map(|m| m.len()).map_err(|e| writing(&self.temporary, e))
    }

    /// Waits until all bytes are on the disk, so that no error is left for [`Draft::publish`].
    ///
    /// # Errors
    /// The disk is full or failed.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| writing(&self.temporary, e))
    }

    /// Gives the file its name, in the place of an older one; it is whole on the disk before.
    ///
    /// # Errors
    /// The disk is full or failed; the older file is still there.
    pub fn publish(self, path: &Path) -> Result<(), Error> {
        self.sync()?;
        fs::rename(&self.temporary, path).map_err(|e| writing(path, e))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing of that name. A leftover would only take room on a full disk.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Replaces a file as a whole: after a crash or on a full disk the old one is still there, never a half.
///
/// # Errors
/// The file cannot be written; what was there before remains.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    Draft::write(path, write)?.publish(path)
}

/// Removes the drafts that a killed process left in a folder. Nobody else may be writing there.
pub fn remove_drafts(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(SUFFIX) {
            // What cannot be removed does no harm: no reader looks at hidden files.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes the drafts that a killed process left in a run folder and among its trajectories. Nobody else may be writing
/// there.
pub fn remove_drafts_of_run(dir: &Path) {
    remove_drafts(dir);
    for folder in fs::read_dir(dir.join(TRAJECTORIES)).into_iter().flatten().flatten() {
        remove_drafts(&folder.path());
    }
}

const SUFFIX: &str = ".draft";

/// A hidden name, so that no pattern such as `train-*` finds it; no two drafts of a folder share one.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{}-{number}{SUFFIX}", std::process::id()))
}

fn writing(path: &Path, e: io::Error) -> Error {
    Error::io(format!("writing {}", path.display()), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        replace_file(&path, |f| f.write_all(b"old")).unwrap();
        let full = |f: &mut dyn Write| {
            f.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert!(replace_file(&path, full).unwrap_err().to_string().contains("b.json"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn drafts_of_a_killed_process_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::mem::forget(Draft::create(&dir.path().join("x")).unwrap());
        fs::write(dir.path().join(".gitignore"), "").unwrap();
        remove_drafts(dir.path());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [".gitignore"]);
    }
}
