//! Files of the session's tree: no path of the host is ever looked at.

use super::Session;
use crate::engine::budget::Budget;
use crate::fs::{Errno, Handle, Kind, Open};
use sbx_runtime::{Error, FileError};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

/// Longest time that reading or writing a file may take.
const FILE_TIME: Duration = Duration::from_secs(300);
/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

impl Session {
    /// Reads a file of the sandbox; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is not there, a directory, not readable or larger than `limit` bytes; or something runs.
    pub fn read_file(&mut self, path: impl AsRef<OsStr>, limit: usize) -> Result<Vec<u8>, FileError> {
        let (name, place) = self.place(path.as_ref())?;
        let tree = &self.sandbox.tree;
        let handle = tree.open(b"/", &place, Open::read()).map_err(|e| fault(e, &name))?;
        if handle.stat().kind == Kind::Dir {
            return Err(FileError::IsDirectory(name));
        }
        read(&handle, limit, &name)
    }

    /// Writes a file of the sandbox, and the directories that lead to it; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is a directory or cannot be written; or something runs.
    pub fn write_file(&mut self, path: impl AsRef<OsStr>, bytes: &[u8]) -> Result<(), FileError> {
        let (name, place) = self.place(path.as_ref())?;
        let tree = &self.sandbox.tree;
        if tree.stat(b"/", &place, true).is_ok_and(|stat| stat.kind == Kind::Dir) {
            return Err(FileError::IsDirectory(name));
        }
        for (at, _) in place.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/') {
            match tree.make_dir(b"/", &place[..at], 0o755) {
                // Where something is, what it is tells the next step.
                Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
                Err(e) => return Err(fault(e, &name)),
            }
        }
        let handle = tree.open(b"/", &place, Open::create(0o644)).map_err(|e| fault(e, &name))?;
        handle.write_all(bytes, &Budget::new(FILE_TIME, 0, 1)).map_err(|e| fault(e, &name))
    }

    /// The absolute path, to be shown and to be opened.
    fn place(&self, path: &OsStr) -> Result<(String, Vec<u8>), Error> {
        if path.as_bytes().contains(&0) {
            return Err(Error::Session("expected a path without NUL bytes".into()));
        }
        if self.is_busy() {
            return Err(Error::Session("a script is still running: wait for it, or interrupt it".into()));
        }
        let workspace = Path::new(OsStr::from_bytes(self.sandbox.tree.workspace()));
        let full = workspace.join(path);
        Ok((full.display().to_string(), full.into_os_string().into_vec()))
    }
}

fn read(handle: &Handle, limit: usize, name: &str) -> Result<Vec<u8>, FileError> {
    let budget = Budget::new(FILE_TIME, 0, 1);
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let n = handle.read(&mut piece, &budget).map_err(|e| fault(e, name))?;
        if n == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece[..n]);
        if bytes.len() > limit {
            return Err(FileError::TooLarge { path: name.into(), limit });
        }
    }
}

fn fault(errno: Errno, name: &str) -> FileError {
    let path = name.to_string();
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => FileError::NotFound(path),
        Errno::ISDIR => FileError::IsDirectory(path),
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NXIO => FileError::Denied(path),
        errno => FileError::Failed { path, status: errno.raw_os_error() },
    }
}
