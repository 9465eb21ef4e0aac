//! Writes data sets of trajectories: parquet with a card, and a page for people.
//!
//! `journal.jsonl ─▶ statistics · data/*.parquet · full/*.parquet · README.md · report.html`
//!
//! It reads the journal and nothing else, so a data set can be written again at any time, also of a run that goes on.
//! [`finalize`] joins the run folders of a run that many workers shared.
//!
//! Memory grows by about 2 KB a rollout, whatever the length of the conversations.
//!
//! ```
//! use sbx_records::{Journal, Message, Rollout};
//! # let run = tempfile::tempdir()?;
//! let mut journal = Journal::open(run.path(), |_| {})?;
//! journal.append(&Rollout {
//!     schema: Rollout::SCHEMA.into(),
//!     instance_id: "org__name-1".into(),
//!     messages: vec![Message::new("assistant", "```bash\nls\n```")],
//!     ..Rollout::default()
//! })?;
//! let written = sbx_dataset::write(run.path())?;
//! assert_eq!((written.stats.rollouts, written.stats.unique), (1, 1));
//! assert!(run.path().join("data/train-00000-of-00001.parquet").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod actions;
mod card;
mod compare;
mod error;
mod features;
mod finalize;
mod messages;
mod minhash;
mod pairwise;
mod plots;
mod report;
mod shards;
mod stats;
mod table;
mod uniques;
mod write;

pub use compare::{Comparison, Row};
pub use error::Error;
pub use finalize::finalize;
pub use pairwise::Pairwise;
pub use stats::Stats;
pub use uniques::Diversity;
pub use write::{DatasetOptions, Written, write, write_with};
