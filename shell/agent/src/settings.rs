//! What a run was started with, kept in `run.json`: a run is only continued with the same.

use crate::Error;
use sbx_records::replace_file;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What must stay the same when a run is continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub schema: String,
    pub model: String,
    pub harness: String,
    pub policy: String,
    pub policy_sha256: String,
    pub temperature: f64,
    pub seed: Option<u64>,
    pub max_turns: u64,
    pub max_total_tokens: u64,
    pub reserve_tokens: u64,
    pub max_turn_tokens: u64,
}

impl Settings {
    pub(crate) const SCHEMA: &'static str = "sbx.run/1";

    /// Writes the settings into a new run folder, or holds them against those of an old one.
    pub(crate) fn hold(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join("run.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(replace_file(&path, |f| Ok(serde_json::to_writer_pretty(f, self)?))?);
        };
        let before: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
            Error::Options(format!("{}: {e}; expected the settings of a run", path.display()))
        })?;
        let now = serde_json::json!(self);
        let differs: Vec<String> = now
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| before.get(key) != Some(value))
            .map(|(key, value)| {
                format!("{key}: {} there, {value} now", before.get(key).unwrap_or(&serde_json::Value::Null))
            })
            .collect();
        if differs.is_empty() {
            return Ok(());
        }
        Err(Error::Options(format!(
            "{} was started with other settings ({}); use the same, or another --out",
            dir.display(),
            differs.join("; ")
        )))
    }
}
