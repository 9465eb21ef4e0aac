//! What an agent changed.
use std::{io, os::fd::OwnedFd, path::Path};
/// Changes.
#[derive(Debug)]
pub struct Changes;
impl Changes {
    /// Reads.
    pub fn read(_: OwnedFd, _: &Path) -> io::Result<Changes> {
        Ok(Changes)
    }
    /// None.
    pub fn none(_: &Path) -> Changes {
        Changes
    }
    /// Text.
    pub fn diff_text(&self) -> String {
        String::new()
    }
}
