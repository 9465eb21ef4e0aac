//! The user's own cache directory. What lies there only saves time: it may be removed whenever no run needs it.

use rustix::process::geteuid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

/// Returns `$XDG_CACHE_HOME/sbx`, or `~/.cache/sbx`; `None` when neither variable is an absolute path.
pub fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".cache"))).map(|d| d.join("sbx"))
}

/// Makes a directory of the cache, closed to all other users.
///
/// # Errors
/// It cannot be made, or it is another user's, or others may write in it.
pub(crate) fn private(name: &str) -> io::Result<PathBuf> {
    let top = cache_dir().ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))?;
    let dir = top.join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    for dir in [&top, &dir] {
        let meta = fs::symlink_metadata(dir)?;
        if !meta.is_dir() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(io::Error::other(format!(
                "{} is not a directory of the user's alone",
                dir.display()
            )));
        }
    }
    fs::canonicalize(dir)
}
