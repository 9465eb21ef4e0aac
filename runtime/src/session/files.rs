//! Files, read and written from within the sandbox: no path of the host is ever looked at.

use super::bash::{Heard, Until, quote};
use super::{START, Session};
use crate::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// Longest time that reading or writing a file may take.
const FILE_TIME: Duration = Duration::from_secs(300);
/// What our commands exit with.
const NOT_FOUND: i32 = 42;
const IS_DIRECTORY: i32 = 43;
const DENIED: i32 = 44;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is none, or a directory on the way to it is missing.
    #[error("{0}: no such file or directory")]
    NotFound(String),
    /// It is a directory.
    #[error("{0}: is a directory")]
    IsDirectory(String),
    /// The sandbox does not let it be read or written.
    #[error("{0}: permission denied")]
    Denied(String),
    /// It is larger than the caller allowed.
    #[error("{path}: larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// Bytes that were allowed.
        limit: usize,
    },
    /// The workspace is full, or the program that writes was stopped.
    #[error("{path}: could not be written (status {status}); is the workspace full?")]
    Failed {
        /// The file.
        path: String,
        /// Exit status of the program that writes.
        status: i32,
    },
    /// The sandbox itself.
    #[error(transparent)]
    Sandbox(#[from] Error),
}

impl Session {
    /// Reads a file of the sandbox; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is not there, a directory, not readable or larger than `limit` bytes; something runs; or the policy has no
    /// `head`.
    pub fn read_file(&mut self, path: impl AsRef<OsStr>, limit: usize) -> Result<Vec<u8>, FileError> {
        let (name, quoted) = self.place(path.as_ref());
        // One more than is wanted tells that there is more.
        let most = limit.saturating_add(1).min(i64::MAX as usize).to_string();
        let command = [
            b"if [[ -d ".as_slice(),
            &quoted,
            b" ]]; then __sbx 43; elif [[ ! -e ",
            &quoted,
            b" ]]; then __sbx 42; elif [[ ! -r ",
            &quoted,
            b" ]]; then __sbx 44; else /usr/bin/head -c ",
            most.as_bytes(),
            b" -- ",
            &quoted,
            b" >&0; fi 2>/dev/null 63>&-",
        ]
        .concat();
        let (status, bytes) = self.ours(&command, None)?;
        if bytes.len() > limit {
            return Err(FileError::TooLarge { path: name, limit });
        }
        typed(status, name).map(|()| bytes)
    }

    /// Writes a file of the sandbox, and the directories that lead to it; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is a directory or cannot be written; something runs; or the policy lacks `cat`, `head` or `mkdir`.
    pub fn write_file(&mut self, path: impl AsRef<OsStr>, bytes: &[u8]) -> Result<(), FileError> {
        let (name, quoted) = self.place(path.as_ref());
        let count = bytes.len().to_string();
        // Whatever happens to the file, all bytes are taken off the socket: what is left there bash would read as commands.
        let command = [
            b"builtin printf r >&0; /usr/bin/head -c ".as_slice(), count.as_bytes(), b" | ( __f=", &quoted,
            b"; if [[ -d $__f ]]; then s=43; else [[ -d ${__f%/*} ]] || /usr/bin/mkdir -p -- \"${__f%/*}\"; \
               if [[ ! -d ${__f%/*} ]]; then s=42; else if ( : >> \"$__f\" ); then /usr/bin/cat >| \"$__f\"; s=$?; else s=44; fi; fi; fi; \
               /usr/bin/cat >| /dev/null; __sbx $s ) 2>/dev/null 63>&-; __s=$?; builtin printf d >&0; __sbx $__s",
        ]
        .concat();
        for program in ["cat", "mkdir"] {
            self.expect(program)?;
        }
        let (status, _) = self.ours(&command, Some(bytes))?;
        typed(status, name)
    }

    /// The absolute path, to be shown and to be said.
    fn place(&self, path: &OsStr) -> (String, Vec<u8>) {
        let full = self.sandbox.plan().workspace.join(path);
        let mut quoted = Vec::new();
        quote(full.as_os_str().as_bytes(), &mut quoted);
        (full.display().to_string(), quoted)
    }

    fn expect(&self, program: &str) -> Result<(), Error> {
        if self.sandbox.policy().allows_command(program) {
            return Ok(());
        }
        Err(Error::Session(format!("files need the program {program}, which the policy does not allow")))
    }

    /// Runs a command of ours on the socket; returns its status and what it wrote there.
    fn ours(&mut self, command: &[u8], bytes: Option<&[u8]>) -> Result<(i32, Vec<u8>), Error> {
        self.sandbox.check_ours()?;
        self.expect("head")?;
        if command.contains(&0) {
            return Err(Error::Session("expected a path without NUL bytes".into()));
        }
        if self.is_busy() {
            return Err(Error::Session("a script is still running: wait for it, or interrupt it".into()));
        }
        self.sandbox.allow_memory()?;
        let before = self.bash()?.status;
        self.bash()?.run_ours(command, bytes);
        let over = Instant::now() + FILE_TIME;
        loop {
            let until = Until { deadline: over.min(Instant::now() + START), quiet: None, most: u64::MAX };
            let heard = self.hear(until)?;
            let Some(bash) = self.bash.as_mut() else { return Err(Error::Gone("bash has ended".into())) };
            match heard {
                Heard::Ended => {
                    // Ours does not become the next script's `$?`.
                    let status = std::mem::replace(&mut bash.status, before);
                    return Ok((status, bash.take_heard()));
                }
                Heard::Gone(_) => {
                    self.bash = None;
                    return Err(Error::Gone("bash has ended".into()));
                }
                _ if Instant::now() >= over => {
                    self.kill()?;
                    return Err(Error::Session(format!(
                        "the file took longer than {} s",
                        FILE_TIME.as_secs()
                    )));
                }
                _ => {}
            }
        }
    }
}

fn typed(status: i32, path: String) -> Result<(), FileError> {
    Err(match status {
        0 => return Ok(()),
        NOT_FOUND => FileError::NotFound(path),
        IS_DIRECTORY => FileError::IsDirectory(path),
        DENIED => FileError::Denied(path),
        status => FileError::Failed { path, status },
    })
}
