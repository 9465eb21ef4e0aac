//! A bash interpreter that touches nothing but the sandbox's tree: script text → syntax → expansion → built-ins and
//! programs of the module.
//!
//! It never asks the host for a file, a process or a variable of the environment. Every loop, call and wait looks at the
//! action's budget; what variables and expansions take counts against its memory; recursion ends where the stack would.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod arithmetic;
mod assign;
mod background;
mod brace;
mod call;
mod compound;
mod conditional;
mod execute;
mod expand;
mod field;
mod glob;
mod interactive;
mod job;
mod memory;
mod operator;
mod parameter;
mod pattern;
mod print;
mod program;
mod redirect;
mod run;
mod script;
mod stack;
mod state;
mod substitute;
mod syntax;
mod trace;
mod variable;

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it compares with the bash of the host"
)]
mod corpus;
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "they compare with the bash of the host"
)]
mod tests;

pub(crate) use call::Expanded;
pub(crate) use interactive::{Foreground, Line};
pub(crate) use job::Job;
pub(crate) use print::function_text;
pub(crate) use program::{Meaning, split_path};
pub(crate) use run::{Ended, Setup, run_script, start};
pub(crate) use state::{Call, Leave, Program, Programs, Shell, World};
pub(crate) use syntax::{Assignment, is_name};
pub(crate) use variable::{Map, Value, Variable};

pub(crate) use crate::fs::Errno;

/// The system's text of an error, as `strerror(3)` gives it.
pub(crate) fn message(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}
