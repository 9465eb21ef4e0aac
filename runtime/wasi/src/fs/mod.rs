//! The agent's files: a copy-on-write tree over the untouched workspace, and what an open file is.
//!
//! Nothing here is a path of the host but the two directories that are opened when a sandbox is: a path of the agent's is
//! resolved in the tree, link by link, and what it reaches there is all that there is.

mod area;
mod capture;
mod clock;
mod fifo;
mod file;
mod handle;
mod listing;
mod lower;
mod names;
mod pipe;
mod stat;
mod terminal;
mod tree;
mod upper;
mod view;
mod walk;

pub use capture::Capture;

pub(crate) use handle::random;
pub use handle::{Handle, pipe};
pub use stat::{Kind, Open, Stat};
pub(crate) use terminal::Terminal;
pub use tree::Tree;

/// The system's errors: names and texts as everybody knows them.
pub type Errno = rustix::io::Errno;
