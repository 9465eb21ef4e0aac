//! The sandbox of a rollout, lent to a blocking thread for each action: actions block, conversations do not.

use crate::Error;
use crate::checkout::Checkout;
use crate::rollout::Shared;
use sbx_bash::Shell;
use sbx_runtime::{Action, Observation};
use std::sync::Arc;

/// The sandbox of a rollout.
pub(crate) struct Hands {
    /// Away while a thread has it, and gone when that thread failed.
    shell: Option<Shell>,
}

impl Hands {
    /// Builds the walls around an overlay of the checkout.
    ///
    /// # Errors
    /// As [`Shell::open`].
    pub(crate) async fn open(shared: &Arc<Shared>, checkout: Checkout) -> Result<Hands, Error> {
        let shared = shared.clone();
        let opened =
            blocking(move || Shell::open(&shared.policy, checkout.workspace(shared.harness.workspace())))
                .await;
        Ok(Hands { shell: Some(opened.map_err(Error::GivenUp)??) })
    }

    /// Walls that stand, and walls that are missing.
    pub(crate) fn walls(&mut self) -> (Vec<String>, Vec<String>) {
        let plan = self.shell.as_mut().map(|shell| shell.sandbox().plan());
        plan.map_or_else(Default::default, |plan| (plan.enforced.clone(), plan.missing.clone()))
    }

    pub(crate) async fn act(&mut self, shared: &Arc<Shared>, script: String) -> Result<Observation, String> {
        let shared = shared.clone();
        self.lend(move |shell| {
            let mut action = Action::bash(&script).time(shared.limits.action_time);
            if shared.harness.merges_output() {
                action = action.merged();
            }
            for (key, value) in shared.harness.environment(shared.harness.workspace()) {
                action = action.env(key, value);
            }
            shell.act(&action).map_err(|e| e.to_string())
        })
        .await
    }

    /// All that the actions changed, as a git patch.
    pub(crate) async fn patch(&mut self) -> Result<String, String> {
        self.lend(|shell| {
            let changes = shell.changes().map_err(|e| e.to_string())?;
            Ok(String::from_utf8_lossy(&changes.try_diff().map_err(|e| e.to_string())?).into_owned())
        })
        .await
    }

    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Shell) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let mut shell = self.shell.take().ok_or("the sandbox is gone")?;
        let (shell, done) = blocking(move || {
            let done = work(&mut shell);
            (shell, done)
        })
        .await?;
        self.shell = Some(shell);
        done
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // Taking a sandbox down waits for the kernel; that is no work for a thread that serves others.
        if let (Some(shell), Ok(handle)) = (self.shell.take(), tokio::runtime::Handle::try_current()) {
            handle.spawn_blocking(move || drop(shell));
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| format!("a thread of ours failed: {e}"))
}
