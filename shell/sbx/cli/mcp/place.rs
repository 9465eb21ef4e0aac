//! Where the tools act.

use crate::cli::exec::{Fate, Settled, settle_unheld};
use sbx::{Action, Changes, Policy, Shell, Workspace};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What was kept of the changes, or why that failed.
pub type Kept = anyhow::Result<Settled>;

/// A workspace under a policy, and what becomes of its changes.
pub struct Place {
    pub policy: Policy,
    workspace: PathBuf,
    env: Vec<(String, String)>,
    pub fate: Fate,
    /// The sandbox of all calls. With --changes commit there is none: each call has one of its own, over the workspace as it
    /// is then, which others may change too.
    shared: Option<Mutex<Shell>>,
    /// Held by whoever changes the workspace.
    settling: Mutex<()>,
}

impl Place {
    /// Opens a workspace. That it works is known then.
    pub fn open(
        policy: Policy,
        workspace: PathBuf,
        env: Vec<(String, String)>,
        fate: Fate,
    ) -> anyhow::Result<Place> {
        let shell = Shell::open(&policy, Workspace::new(&workspace))?;
        let shared = (!matches!(fate, Fate::Commit)).then(|| Mutex::new(shell));
        Ok(Place { policy, workspace, env, fate, shared, settling: Mutex::new(()) })
    }

    /// A bash script with the variables that every call has.
    pub fn action(&self, script: &str) -> Action {
        self.env.iter().fold(Action::bash(script), |action, (key, value)| action.env(key, value))
    }

    /// Does something in a sandbox, and with what it changed what was asked for: that can fail when the work is done.
    pub fn act<T, E>(&self, work: impl FnOnce(&mut Shell) -> Result<T, E>) -> anyhow::Result<(T, Kept)>
    where
        anyhow::Error: From<E>,
    {
        if let Some(shared) = &self.shared {
            let mut shell = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut shell)?;
            return Ok((done, self.settle(|| shell.changes())));
        }
        let mut shell = Shell::open(&self.policy, Workspace::new(&self.workspace))?;
        let done = work(&mut shell)?;
        let kept = self.settle(|| shell.changes());
        shell.leave();
        Ok((done, kept))
    }

    /// Does something in a sandbox that changes nothing.
    pub fn look<T, E>(&self, work: impl FnOnce(&mut Shell) -> Result<T, E>) -> anyhow::Result<T>
    where
        anyhow::Error: From<E>,
    {
        match &self.shared {
            Some(shared) => Ok(work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))?),
            None => Ok(work(&mut Shell::open(&self.policy, Workspace::new(&self.workspace))?)?),
        }
    }

    fn settle(&self, changes: impl FnOnce() -> Result<Changes, sbx::Error>) -> Kept {
        let _alone = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        match self.fate {
            Fate::Discard => Ok(Settled::default()),
            Fate::Commit | Fate::Patch(_) => settle_unheld(&changes()?, &self.fate, &self.workspace),
        }
    }
}
