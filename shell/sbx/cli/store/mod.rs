//! Run folders in object stores: `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///dir`.
//!
//! A run always works in a folder of this machine: its journal is synced there, line by line, and is the source of truth.
//! What the journal gains is copied to the store at once, as objects that are written once and never changed; all else is
//! made from the journal and copied when the run ends. A machine that lost its folder begins with the store's journal.

#[cfg(not(feature = "object-store"))]
#[path = "disabled.rs"]
mod objects;
#[cfg(feature = "object-store")]
#[path = "enabled.rs"]
mod objects;

pub use objects::Store;

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Where a run is: a folder, and the store that it is copied to, if there is one.
pub struct Place {
    pub folder: PathBuf,
    pub store: Option<Store>,
}

impl Place {
    /// Reads an `--out`. The folder of a run in a store is in `spool`, by default in the user's cache.
    pub fn of(out: &Path, part: Option<&str>, spool: Option<&Path>) -> anyhow::Result<Place> {
        let Some(url) = out.to_str().filter(|text| text.contains("://")) else {
            return Ok(Place {
                folder: part.map_or_else(|| out.to_path_buf(), |p| out.join(p)),
                store: None,
            });
        };
        let store = Store::open(url)?;
        let spool = match spool {
            Some(dir) => dir.to_path_buf(),
            None => super::agent::cache_dir()?.join("spool").join(name(url)),
        };
        let (folder, store) = match part {
            Some(part) => (spool.join(part), store.part(part)),
            None => (spool, store),
        };
        Ok(Place { folder: std::path::absolute(folder)?, store: Some(store) })
    }

    /// Brings the run of a store here, if it is in one; returns its folder.
    pub fn fetch(out: &Path) -> anyhow::Result<PathBuf> {
        let place = Place::of(out, None, None)?;
        if let Some(store) = &place.store {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(store.fetch(&place.folder)).with_context(|| store.url().to_string())?;
        }
        Ok(place.folder)
    }
}

/// The name of the folder of a run in a store; none where the run is a folder itself.
pub fn name_of(out: &Path) -> Option<String> {
    out.to_str().filter(|text| text.contains("://")).map(name)
}

/// A folder's name for a URL: readable, and no other URL's.
fn name(url: &str) -> String {
    let plain = url.trim_end_matches('/').chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let plain: String = plain.collect();
    // FNV-1a: the same in every version, since it names folders that last.
    let hash = url
        .trim_end_matches('/')
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}-{hash:016x}", plain.get(plain.len().saturating_sub(80)..).unwrap_or(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_itself_and_a_store_has_a_folder_of_its_own() {
        let place = Place::of(Path::new("runs/a"), Some("shard-0"), None).unwrap();
        assert!(place.store.is_none());
        assert_eq!(place.folder, Path::new("runs/a/shard-0"));
        assert_eq!(name("s3://b/run"), name("s3://b/run/"));
        assert_ne!(name("s3://b/run"), name("s3://b-run"));
        assert!(name("s3://b/run").starts_with("s3---b-run-"));
    }
}
