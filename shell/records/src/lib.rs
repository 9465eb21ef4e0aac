//! The files in which stages meet: instances come in, rollouts go out.
//!
//! `Instance (JSON lines) ─▶ rollout ─▶ journal.jsonl ─▶ .traj.json · preds.json · parquet`
//!
//! This crate reads and writes; it runs nothing and counts nothing.
#![forbid(unsafe_code)]

mod error;
mod files;
mod instance;
mod journal;
mod message;
mod predictions;
mod rollout;
mod trajectory;

pub use error::Error;
pub use files::replace_file;
pub use instance::{Instance, PatchIs, read_instances};
pub use journal::{JOURNAL, Journal, Rollouts, read_journal};
pub use message::Message;
pub use predictions::Predictions;
pub use rollout::{ExitStatus, ObservationCounts, PolicyStamp, Rollout};
pub use trajectory::{trajectory_path, write_trajectory};
