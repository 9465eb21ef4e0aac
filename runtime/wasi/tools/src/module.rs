//! The module itself: unpacked under a bound, then compared with its pinned digest.

use lzma_rust2::XzReader;
use sha2::{Digest, Sha256};
use std::io::Read;

/// The module, compressed.
static PACKED: &[u8] = include_bytes!("../tools.wasm.xz");
/// The SHA-256 of the unpacked module, 64 lower-case hexadecimal digits.
pub const DIGEST: &str = include_str!("../tools.wasm.sha256").trim_ascii_end();
/// The licences of all that the module is built from.
pub const THIRD_PARTY: &str = include_str!("../THIRD-PARTY");
/// Most bytes that the module may have unpacked: 64 MiB.
const MOST: u64 = 64 << 20;

/// Why the module cannot be had. Only a damaged build of this crate gives one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The compressed bytes are damaged.
    #[error("unpack the embedded module: {0}")]
    Unpack(#[source] std::io::Error),
    /// The bytes are not the pinned ones.
    #[error("the embedded module has the digest {found}, expected {DIGEST}")]
    Changed {
        /// What was computed over the unpacked bytes.
        found: String,
    },
}

/// Returns the module's bytes, unpacked and compared with [`DIGEST`]. Takes some tenths of a second: keep what it gives.
///
/// # Errors
/// [`Error`], if the embedded bytes are not the pinned ones.
pub fn module() -> Result<Vec<u8>, Error> {
    unpack(PACKED)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    XzReader::new(packed, false).take(MOST).read_to_end(&mut bytes).map_err(Error::Unpack)?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == DIGEST { Ok(bytes) } else { Err(Error::Changed { found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_module_is_the_pinned_one() {
        let bytes = module().unwrap();
        assert!(bytes.starts_with(b"\0asm\x01\0\0\0"));
        assert_eq!(DIGEST.len(), 64);
    }

    #[test]
    fn a_changed_byte_is_refused() {
        for at in [PACKED.len() / 3, PACKED.len() / 2, PACKED.len() - 20] {
            let mut packed = PACKED.to_vec();
            packed[at] ^= 1;
            assert!(unpack(&packed).is_err(), "byte {at}");
        }
        assert!(matches!(unpack(&PACKED[..PACKED.len() / 2]), Err(Error::Unpack(_))));
    }

    #[test]
    fn licences_are_named_for_each_part() {
        for part in
            ["uu_sort", "uu_grep", "sed", "onig", "wasi-libc", "jaq-core", "libbz2-rs-sys", "lzma-rust2"]
        {
            assert!(THIRD_PARTY.contains(part), "{part}");
        }
        assert!(!THIRD_PARTY.lines().any(|line| line.ends_with(": GPL-3.0")));
    }
}
