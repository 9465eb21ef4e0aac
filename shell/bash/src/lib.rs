//! Bash scripts: read, judged by a policy's manners, and run in a sandbox.
//!
//! `script ─▶ Script ─▶ Verdict`, and [`Shell`] puts them around a [`Sandbox`](sbx_runtime::Sandbox).
//!
//! Reading a script yields a good refusal, never a wall: what an action cannot do is decided by the kernel. So a script
//! that cannot be read here is still run, and bash itself says what is wrong with it.
#![forbid(unsafe_code)]

mod files;
mod judge;
mod script;
mod session;
mod shell;
#[cfg_attr(feature = "wasi", path = "wasi/enabled.rs")]
#[cfg_attr(not(feature = "wasi"), path = "wasi/disabled.rs")]
mod wasi;

pub use files::{Entry, EntryKind, Listing};
pub use judge::{Verdict, judge, outside};
pub use script::{Call, Script, Unread};
pub use session::{LiveSession, LiveShell};
pub use shell::Shell;
