//! `preds.json`: the patch of each instance, as SWE-bench's graders and mini-swe-agent read it.

use crate::{Error, ExitStatus, Rollout, replace_file};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The patches of a run, one an instance: that of the first submitted rollout, else of the first one.
#[derive(Debug, Default)]
pub struct Predictions(BTreeMap<String, (Rank, Prediction)>);

/// Submitted before others, then by number.
type Rank = (bool, u32);

#[derive(Debug, Serialize)]
struct Prediction {
    model_name_or_path: String,
    instance_id: String,
    model_patch: String,
}

impl Predictions {
    /// Takes a rollout into account.
    pub fn add(&mut self, rollout: &Rollout) {
        let rank = (rollout.exit_status != ExitStatus::Submitted, rollout.rollout);
        // A rollout that was tried again replaces itself.
        if self.0.get(&rollout.instance_id).is_some_and(|(held, _)| *held <= rank && held.1 != rank.1) {
            return;
        }
        let prediction = Prediction {
            model_name_or_path: rollout.model.clone(),
            instance_id: rollout.instance_id.clone(),
            model_patch: rollout.patch.clone(),
        };
        self.0.insert(rollout.instance_id.clone(), (rank, prediction));
    }

    /// Writes `preds.json` into a run folder.
    ///
    /// # Errors
    /// The file cannot be written; an older one remains.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        let map: BTreeMap<_, _> = self.0.iter().map(|(id, (_, prediction))| (id, prediction)).collect();
        replace_file(&dir.join("preds.json"), |f| Ok(serde_json::to_writer_pretty(f, &map)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_submitted_rollout_is_the_prediction() {
        let rollout = |n, status| Rollout {
            instance_id: "i".into(),
            rollout: n,
            exit_status: status,
            patch: format!("patch {n}"),
            ..Rollout::default()
        };
        let mut predictions = Predictions::default();
        for (n, status) in
            [(3, ExitStatus::Submitted), (0, ExitStatus::Incomplete), (2, ExitStatus::Submitted)]
        {
            predictions.add(&rollout(n, status));
        }
        let dir = tempfile::tempdir().unwrap();
        predictions.write(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join("preds.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["i"]["model_patch"], "patch 2");
        assert_eq!(value["i"]["instance_id"], "i");
    }
}
