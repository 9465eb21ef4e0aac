//! Whole files or none: written under another name, synced, renamed.

use crate::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Replaces a file as a whole: after a crash or on a full disk the old one is still there, never a half.
///
/// # Errors
/// The file cannot be written; what was there before remains.
pub fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Error> {
    let io = |e| Error::io(format!("writing {}", path.display()), e);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(io)?;
    }
    let temporary = beside(path);
    let written = (|| {
        let mut file = BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error that matters is the first; a leftover would only take room on a full disk.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
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
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        assert!(replace_file(&path, full).unwrap_err().to_string().contains("b.json"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
