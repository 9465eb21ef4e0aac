//! Files of a sandbox, read and written by actions inside it: no path of the host is ever looked at.

use crate::Shell;
use sbx_runtime::{Action, Error, FileError, Observation, Outcome, Stream, format_duration};
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Variables in which a path and a number reach our scripts: nothing of them is read as a script.
const FILE: &str = "SBX_FILE";
const MOST: &str = "SBX_MOST";

const NOT_FOUND: i32 = 42;
const IS_DIRECTORY: i32 = 43;
const DENIED: i32 = 44;

const READ: &str = "f=$SBX_FILE
[[ -d $f ]] && exit 43
[[ -e $f ]] || exit 42
[[ -r $f && ! -p $f ]] || exit 44
head -c \"$SBX_MOST\" -- \"$f\"";

const WRITE: &str = "f=$SBX_FILE
[[ -d $f ]] && exit 43
[[ $f != */* || -d ${f%/*}/ ]] || mkdir -p -- \"${f%/*}\" || exit 42
( : >> \"$f\" ) || exit 44
cat > \"$f\"";

const LIST: &str = "f=$SBX_FILE
[[ -e $f ]] || exit 42
[[ -d $f && -r $f ]] || exit 44
cd -- \"$f\" || exit 44
shopt -s nullglob dotglob
n=0
for e in *; do
    (( n++ < SBX_MOST )) || break
    if [[ -L $e ]]; then k=l; elif [[ -d $e ]]; then k=d; elif [[ -f $e ]]; then k=f; else k=o; fi
    printf '%s%s\\0' \"$k\" \"$e\"
done";

/// What a directory of the sandbox holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its entries but `.` and `..`, in byte order.
    pub entries: Vec<Entry>,
    /// There are more than were asked for.
    pub is_cut: bool,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is; a link is not followed.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket or a pipe.
    Other,
}

impl EntryKind {
    /// Its word: file, directory, link or other.
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::File => "file",
            EntryKind::Directory => "directory",
            EntryKind::Link => "link",
            EntryKind::Other => "other",
        }
    }
}

impl Shell {
    /// Reads a file of the sandbox, of at most `limit` bytes; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is not there, a directory, a pipe, not readable or larger than `limit`; or the policy has no `head`.
    pub fn read_file(&mut self, path: impl AsRef<OsStr>, limit: usize) -> Result<Vec<u8>, FileError> {
        let path = path.as_ref();
        // One more than is wanted tells that there is more.
        let bytes = self.on_file(READ, &["head"], path, limit.saturating_add(1), Vec::new())?;
        if bytes.len() > limit {
            return Err(FileError::TooLarge { path: shown(path), limit });
        }
        Ok(bytes)
    }

    /// Writes a file of the sandbox, and makes the directories that lead to it; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is a directory or cannot be written; or the policy has no `cat` and `mkdir`.
    pub fn write_file(
        &mut self,
        path: impl AsRef<OsStr>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<(), FileError> {
        self.on_file(WRITE, &["cat", "mkdir"], path.as_ref(), 0, bytes.into()).map(drop)
    }

    /// Lists a directory of the sandbox, at most `limit` entries of it; a relative path begins at the workspace.
    ///
    /// # Errors
    /// It is not there, no directory, or not readable.
    pub fn list_dir(&mut self, path: impl AsRef<OsStr>, limit: usize) -> Result<Listing, FileError> {
        let bytes = self.on_file(LIST, &[], path.as_ref(), limit.saturating_add(1), Vec::new())?;
        let entry = |line: &[u8]| {
            let (kind, name) = line.split_first()?;
            let kind = match kind {
                b'f' => EntryKind::File,
                b'd' => EntryKind::Directory,
                b'l' => EntryKind::Link,
                _ => EntryKind::Other,
            };
            Some(Entry { name: OsString::from_vec(name.into()), kind })
        };
        let mut entries: Vec<Entry> = bytes.split(|b| *b == 0).filter_map(entry).collect();
        let is_cut = entries.len() > limit;
        entries.truncate(limit);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing { entries, is_cut })
    }

    /// Runs a script of ours on a file; all that it wrote.
    fn on_file(
        &mut self,
        script: &str,
        needs: &[&str],
        path: &OsStr,
        most: usize,
        stdin: Vec<u8>,
    ) -> Result<Vec<u8>, FileError> {
        let failed = |why: String| FileError::Sandbox(Error::Session(why));
        if path.as_bytes().contains(&0) || path.is_empty() {
            return Err(failed("expected a path without NUL bytes, of one byte at least".into()));
        }
        if let Some(program) = needs.iter().find(|program| !self.policy().allows_command(program)) {
            return Err(failed(format!("files need the program {program}, which the policy does not allow")));
        }
        // A name that begins with a dash is none of an option.
        let place = Path::new(".").join(path);
        let action = Action::bash(script).env(FILE, place).env(MOST, most.to_string()).stdin(stdin);
        let mut bytes = Vec::new();
        let seen = self.act_unjudged(&action, &mut |stream, piece| {
            if stream == Stream::Stdout {
                bytes.extend_from_slice(piece);
            }
            ControlFlow::Continue(())
        })?;
        if seen.outcome == Outcome::OutputLimit {
            // More than any action may write.
            return Err(FileError::TooLarge { path: shown(path), limit: bytes.len() });
        }
        match ended(&seen) {
            Some(0) => Ok(bytes),
            Some(NOT_FOUND) => Err(FileError::NotFound(shown(path))),
            Some(IS_DIRECTORY) => Err(FileError::IsDirectory(shown(path))),
            Some(DENIED) => Err(FileError::Denied(shown(path))),
            Some(status) => Err(FileError::Failed { path: shown(path), status }),
            None => {
                let time = format_duration(self.policy().limits.time);
                Err(failed(format!("{}: took longer than the policy's {time}", shown(path))))
            }
        }
    }
}

/// The status of a script of ours; none when its time was over.
fn ended(seen: &Observation) -> Option<i32> {
    (seen.outcome != Outcome::TimedOut).then_some(seen.exit_code)
}

fn shown(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}
