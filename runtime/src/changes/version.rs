//! The content of a path before or after, as far as a patch takes it.

use super::layer::{Layer, Side};
use sha1::{Digest, Sha1};
use std::io::Read;

/// Largest file whose content is put into a patch, in bytes.
const MAX_PATCH_FILE: u64 = 64 << 20;
/// Most contents that one patch is made of, in bytes.
const MAX_PATCH_BYTES: u64 = 256 << 20;
/// Bytes in which a NUL makes a file binary, as in git.
const BINARY_PROBE: usize = 8000;

/// How many bytes of contents a patch may still take.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Default for Budget {
    fn default() -> Budget {
        Budget(MAX_PATCH_BYTES)
    }
}

/// A version of a path: what a git tree would hold of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    side: Side,
    /// None when it is too large, or cannot be read.
    content: Option<Vec<u8>>,
}

/// Reads the version that a layer has of a path.
pub(super) fn read(layer: &Layer, path: &[u8], side: Side, budget: &mut Budget) -> Version {
    let content = match side {
        Side::Link => layer.link(path).ok(),
        Side::File { .. } => content(layer, path, budget.0.min(MAX_PATCH_FILE)),
    };
    budget.0 -= content.as_ref().map_or(0, |c| c.len() as u64).min(budget.0);
    Version { side, content }
}

/// The content of a file of at most `most` bytes.
pub(super) fn content(layer: &Layer, path: &[u8], most: u64) -> Option<Vec<u8>> {
    let file = layer.file(path).ok()?;
    let size = file.metadata().ok()?.len();
    if size > most {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

impl Version {
    pub(super) fn mode(&self) -> &'static str {
        match self.side {
            Side::File { executable: true } => "100755",
            Side::File { executable: false } => "100644",
            Side::Link => "120000",
        }
    }

    pub(super) fn is_link(&self) -> bool {
        self.side == Side::Link
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    pub(super) fn is_binary(&self) -> bool {
        self.bytes().is_none_or(|b| b[..b.len().min(BINARY_PROBE)].contains(&0))
    }

    /// The blob's name in git.
    pub(super) fn hash(&self) -> String {
        let bytes = self.bytes().unwrap_or_default();
        let mut sha = Sha1::new();
        sha.update(format!("blob {}\0", bytes.len()));
        sha.update(bytes);
        sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}
