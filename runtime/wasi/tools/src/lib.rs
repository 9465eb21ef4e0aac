//! The commands of the WASI backend: one WebAssembly module that is checked in, compressed and pinned by its digest.
//!
//! [`module`] unpacks the module and refuses it when its bytes are not the pinned ones; [`DIGEST`] names it without
//! unpacking, as the key of a cache of compiled code; [`APPLETS`] are the commands it answers to by `argv[0]`. The module
//! is not compiled here, and building this crate needs no WebAssembly toolchain: `build.sh` beside it does both, and its
//! README tells how to rebuild and compare.
//!
//! ```
//! assert!(sbx_wasi_tools::has("grep"));
//! assert_eq!(&sbx_wasi_tools::module()?[..4], b"\0asm");
//! # Ok::<(), sbx_wasi_tools::Error>(())
//! ```

#![forbid(unsafe_code)]

mod applets;
mod module;

pub use applets::{APPLETS, has};
pub use module::{DIGEST, Error, THIRD_PARTY, module};
