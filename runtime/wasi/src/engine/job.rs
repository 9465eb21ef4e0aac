//! One command to run, and how it ended.

use super::budget::Budget;
use crate::fs::{Handle, Tree};
use std::sync::Arc;

/// A command of the module to run: what `execve` takes, and what a process inherits.
pub struct Job<'a> {
    /// Its name, then its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Its environment. `PWD` is set to `cwd` besides.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its directory, an absolute path without links.
    pub cwd: Vec<u8>,
    /// Its open files by number. Those above 2 are reached by `/dev/fd/N`.
    pub fds: Vec<(u32, Handle)>,
    /// Its files.
    pub tree: &'a Tree,
    /// What it may use.
    pub budget: &'a Budget,
    /// Permission bits that new files do not get.
    pub umask: u32,
    /// Runs the commands that it starts itself (`find -exec`); without one they are not found.
    pub spawn: Option<Arc<dyn Spawn>>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// It was ended: 13 a write to a pipe that nobody reads, 9 a limit, 6 it aborted, 11 its stack overflowed.
    Signal(i32),
}

impl Exit {
    /// As in a shell's `$?`: 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Exit::Status(status) => status,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// A command that a command starts.
#[derive(Debug)]
pub struct Call {
    /// Its name, then its arguments; never empty.
    pub argv: Vec<Vec<u8>>,
    /// Its environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its directory.
    pub cwd: Vec<u8>,
    /// Its stdin, stdout and stderr.
    pub stdio: [Handle; 3],
    /// Permission bits that new files do not get.
    pub umask: u32,
}

/// Whoever resolves the name of a command that a command starts, and runs it.
pub trait Spawn: Send + Sync {
    /// Runs it to its end and returns its status as in `$?`; `None` when there is no such command.
    fn spawn(&self, call: Call) -> Option<i32>;
}
