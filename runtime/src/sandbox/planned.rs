//! What process 1 is to do. The last few plans of this program are kept: a thousand rollouts ask for the same sandboxes.

use crate::linux::sys;
use crate::{Error, Host, Plan, Policy, View, Workspace};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most plans that are kept.
const MOST: usize = 8;

static RECENT: Mutex<VecDeque<Planned>> = Mutex::new(VecDeque::new());

/// A plan, and what it was made for. A copy of it is another name for the same.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub policy: Arc<Policy>,
    host: Host,
    workspace: Workspace,
    pub plan: Arc<Plan>,
    /// The steps as process 1 reads them, in a sealed file.
    pub steps: Arc<OwnedFd>,
}

impl Planned {
    /// Makes a plan.
    pub(super) fn new(
        policy: &Policy,
        host: &Host,
        view: &View,
        workspace: &Workspace,
    ) -> Result<Planned, Error> {
        let plan = Plan::compile(policy, host, view, workspace)?;
        let steps = sys::sealed_file(&plan.encode()).map_err(|e| Error::system("the plan's file", e))?;
        Ok(Planned {
            policy: Arc::new(policy.clone()),
            host: host.clone(),
            workspace: workspace.clone(),
            plan: Arc::new(plan),
            steps: Arc::new(steps),
        })
    }

    /// A plan that was made for the same, and whose view held.
    pub(super) fn recent(policy: &Policy, host: &Host, workspace: &Workspace) -> Option<Planned> {
        recent().iter().find(|one| one.is_for(policy, host, workspace)).cloned()
    }

    fn is_for(&self, policy: &Policy, host: &Host, workspace: &Workspace) -> bool {
        self.workspace == *workspace && self.host == *host && *self.policy == *policy
    }

    /// Keeps a plan whose view holds as long as this program runs.
    pub(super) fn keep(self) {
        let mut recent = recent();
        // Another thread may have been here before.
        if recent.iter().any(|one| one.is_for(&self.policy, &self.host, &self.workspace)) {
            return;
        }
        if recent.len() == MOST {
            recent.pop_front();
        }
        recent.push_back(self);
    }
}

fn recent() -> MutexGuard<'static, VecDeque<Planned>> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}
