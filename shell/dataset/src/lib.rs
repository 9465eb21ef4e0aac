//! Writes data sets of trajectories: parquet with a card, and a page for people.
//!
//! `journal.jsonl ─▶ statistics · data/*.parquet · full/*.parquet · README.md · report.html`
//!
//! It reads the journal and nothing else, so a data set can be written again at any time, also of a run that goes on.
#![forbid(unsafe_code)]

mod actions;
mod card;
mod error;
mod minhash;
mod report;
mod stats;
mod table;
mod write;

pub use error::Error;
pub use stats::Stats;
pub use write::{Written, write};
