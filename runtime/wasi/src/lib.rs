//! Bash actions with no native process: an interpreter of our own runs the script, and each command is a WASI module.
#![deny(unsafe_code)]
// Only the interpreter is kept from the host; `clippy.toml` says by which calls.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod builtin;
mod engine;
mod fs;
mod sandbox;
mod shell;

pub use engine::Machine;
pub use engine::budget::{Budget, Running, Stop};
pub use engine::crew::{Crew, StillRuns, Task};
pub use engine::job::{Call, Exit, Job, Spawn};
pub use fs::{Capture, Errno, Handle, Kind, Open, Stat, Tree, pipe};
pub use sandbox::{Sandbox, Session};
