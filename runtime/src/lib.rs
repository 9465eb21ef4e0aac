//! One sandbox, one action: a policy made into walls that the Linux kernel enforces, without root and without a daemon.
//!
//! `Policy ─▶ Plan ─▶ Sandbox ─▶ Action ─▶ Observation`
//!
//! ```no_run
//! use sbx_runtime::{Action, Policy, Sandbox};
//! let mut sandbox = Sandbox::open(&Policy::preset("whitelist")?, "checkout")?;
//! let seen = sandbox.run(&Action::bash("grep -rn TODO . | wc -l"))?;
//! print!("{}", seen.stdout.text());
//! print!("{}", sandbox.changes()?.diff_text());
//! # Ok::<(), sbx_runtime::Error>(())
//! ```
//!
//! This crate confines; it does not read scripts (that is `sbx-bash`), and it knows no model.
#![deny(unsafe_code)]

mod action;
#[path = "../front/asking.rs"]
mod asking;
#[path = "../init/birth.rs"]
#[expect(unsafe_code, reason = "compiled into the library and into programs without one")]
mod birth;
pub mod cache;
mod cancel;
pub mod changes;
mod command;
mod error;
#[cfg(test)]
#[path = "../front/finishing.rs"]
#[allow(dead_code, reason = "what runs before the program uses the rest")]
mod finishing;
mod host;
#[path = "../front/leave.rs"]
#[expect(unsafe_code, reason = "compiled into the library and into programs without one")]
mod leave;
#[expect(unsafe_code, reason = "the only place: see the modules that linux/mod.rs names")]
mod linux;
#[path = "../init/message.rs"]
#[allow(dead_code, reason = "process 1 uses the rest")]
mod message;
#[path = "../front/named.rs"]
mod named;
mod observation;
mod plan;
mod policy;
mod proxy;
mod quantity;
#[path = "../front/request.rs"]
mod request;
mod sandbox;
mod session;
#[path = "../front/stamps.rs"]
#[expect(unsafe_code, reason = "raw system calls, compiled into programs without a library too")]
mod stamps;
#[path = "../init/sys.rs"]
#[expect(unsafe_code, reason = "raw system calls, as in process 1")]
#[allow(dead_code, unused_imports, reason = "process 1 uses the rest")]
mod sys;
#[path = "../init/text.rs"]
mod text;
mod timings;
mod view;
mod workspace;

pub use action::{Action, Stdin};
pub use cancel::Cancel;
pub use changes::{Changes, Commit, Withheld};
pub use command::Command;
pub use error::Error;
pub use host::Host;
pub use linux::cgroup::Cgroups;
pub use linux::thread;
use linux::wire;
pub use observation::{Denied, Observation, Outcome, Output, Stream};
pub use plan::{Plan, Step, environment, etc_files};
pub use policy::{Backend, Clock, Examples, Exec, Limits, Missing, Network, PRESETS, Policy, Refuse};
pub use quantity::{ByteSize, LONGEST, format_duration, parse_duration};
pub use sandbox::{Early, Recorded, Sandbox};
pub use session::{FileError, Session, Waited};
pub use timings::Timings;
pub use view::{BUILTINS, Tree, View};
pub use workspace::{OBJECTS, Workspace};
