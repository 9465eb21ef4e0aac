//! What a run folder holds already, and what a killed run left undone in it.

use crate::Error;
use crate::run::RetryFailed;
use sbx_records::{
    ExitStatus, Journal, Predictions, Rollout, remove_drafts_of_run, trajectory_path, write_trajectory,
};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// How often a journal that somebody holds is looked at again.
const BUSY_TRIES: u32 = 10;
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// What a run folder holds already.
#[derive(Default)]
pub(super) struct Before {
    /// Every rollout that has a line, and how it ended.
    rollouts: HashMap<(String, u32), ExitStatus>,
    pub predictions: Predictions,
}

impl Before {
    /// As [`Before::read`], with some patience: a child process of a run that was killed just now holds the lock until it
    /// has its own program.
    pub(super) async fn read_patiently(dir: &Path) -> Result<(Journal, Before), Error> {
        for _ in 0..BUSY_TRIES {
            match Before::read(dir) {
                Err(Error::Records(sbx_records::Error::Busy { .. })) => tokio::time::sleep(BUSY_WAIT).await,
                other => return other,
            }
        }
        Before::read(dir)
    }

    /// Opens the journal, and writes the trajectories that are not there: a run may have been killed between the two.
    fn read(dir: &Path) -> Result<(Journal, Before), Error> {
        let mut before = Before::default();
        let mut fault = None;
        let journal = Journal::open(dir, |rollout| {
            let is_known = before.rollouts.contains_key(&(rollout.instance_id.clone(), rollout.rollout));
            if before.take(&rollout) && (is_known || !trajectory_path(dir, &rollout).exists()) {
                fault = fault.take().or(write_trajectory(dir, &rollout).err());
            }
        })?;
        // Locked by now, so nobody else is writing here.
        remove_drafts_of_run(dir);
        fault.map_or(Ok((journal, before)), |e| Err(e.into()))
    }

    pub(super) fn is_new(&self) -> bool {
        self.rollouts.is_empty()
    }

    pub(super) fn is_done(&self, instance: &str, rollout: u32, retry: RetryFailed) -> bool {
        self.rollouts.get(&(instance.to_string(), rollout)).is_some_and(|status| retry.is_done(*status))
    }

    /// Takes a rollout into account, unless an earlier one of its number counts; returns whether it does.
    pub(super) fn take(&mut self, rollout: &Rollout) -> bool {
        let name = (rollout.instance_id.clone(), rollout.rollout);
        // An error never replaces what counts.
        if rollout.exit_status == ExitStatus::Errored
            && self.rollouts.get(&name).is_some_and(|held| *held != ExitStatus::Errored)
        {
            return false;
        }
        self.rollouts.insert(name, rollout.exit_status);
        self.predictions.add(rollout);
        true
    }
}
