//! The files in which stages meet: instances come in, rollouts go out.
//!
//! `Instance (JSON lines) ─▶ rollout ─▶ journal.jsonl ─▶ .traj.json · preds.json · parquet`
//!
//! Trajectories of other tools come in as [`Recording`]s.
//!
//! This crate reads and writes; it runs nothing and counts nothing.
#![forbid(unsafe_code)]

mod acted;
mod draft;
mod error;
mod instance;
mod journal;
mod json;
mod message;
mod predictions;
mod reader;
mod recording;
mod rollout;
mod settings;
mod trajectory;

pub use acted::Acted;
pub use draft::{Draft, remove_drafts, remove_drafts_of_run, replace_file};
pub use error::Error;
pub use instance::{Instance, PatchIs, read_instances};
pub use journal::{JOURNAL, Journal};
pub use json::from_json;
pub use message::Message;
pub use predictions::Predictions;
pub use reader::{Rollouts, read_journal};
pub use recording::{Recording, Seen, Step, read_recordings, recording, recording_files};
pub use rollout::{ExitStatus, ObservationCounts, PolicyStamp, Rollout};
pub use settings::setting;
pub use trajectory::{trajectory_path, write_trajectory};
