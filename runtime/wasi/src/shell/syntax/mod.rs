//! The text of a script, read: bytes become a tree, one complete command at a time, as bash reads it.
//!
//! Nothing is expanded or run here. The reader never recurses deeper than its [`Parser::new`] stack floor allows, and
//! looks at each byte a bounded number of times.

mod alias;
mod error;
mod heredoc;
mod lex;
mod parameter;
mod parse;
mod simple;
mod test;
mod tree;
mod word;

pub(crate) use alias::Aliases;
pub(crate) use error::SyntaxError;
pub(crate) use parse::Parser;
pub(crate) use tree::*;
pub(crate) use word::{is_name, is_name_byte, is_name_start};
