//! The sandbox of a rollout, lent to a blocking thread for each action: actions block, conversations do not.

pub(crate) mod files;
pub(crate) mod terminal;

use crate::Error;
use crate::checkout::Checkout;
use crate::editor::{Edit, Editor};
use crate::harness::{Harness, Input};
use crate::rollout::Shared;
use files::InSandbox;
use sbx_bash::{LiveShell, Shell};
use sbx_runtime::{Action, Changes, Observation, Policy};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use terminal::Terminal;

/// Time for a look at a script's syntax.
pub(crate) const SYNTAX_TIME: Duration = Duration::from_secs(20);

/// The sandbox of a rollout.
pub(crate) struct Hands {
    /// Away while a thread has it, and gone when that thread failed.
    hand: Option<Hand>,
}

/// What acts, and what remembers between two actions.
struct Hand {
    shell: Kind,
    editor: Option<Editor>,
}

pub(crate) enum Kind {
    /// A bash for each action.
    Each(Box<Shell>),
    /// One bash for all, on a terminal.
    One(Box<Terminal>),
}

impl Hand {
    fn open(harness: &dyn Harness, policy: &Policy, checkout: &Checkout) -> Result<Hand, sbx_runtime::Error> {
        let workspace = checkout.workspace(harness.workspace());
        let editor = harness.editor().map(Editor::new);
        let shell = if harness.keeps_shell() {
            let env = harness.environment(harness.workspace());
            let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            Kind::One(Box::new(Terminal::new(LiveShell::open(policy, workspace, &env)?, harness.workspace())))
        } else {
            Kind::Each(Box::new(Shell::open(policy, workspace)?))
        };
        Ok(Hand { shell, editor })
    }

    fn changes(&self) -> Result<Changes, sbx_runtime::Error> {
        match &self.shell {
            Kind::Each(shell) => shell.changes(),
            Kind::One(terminal) => terminal.changes(),
        }
    }
}

impl Hands {
    /// Builds the walls around an overlay of the checkout.
    ///
    /// # Errors
    /// As [`Shell::open`].
    pub(crate) async fn open(shared: &Arc<Shared>, checkout: Checkout) -> Result<Hands, Error> {
        let shared = shared.clone();
        let opened = blocking(move || Hand::open(shared.harness.as_ref(), &shared.policy, &checkout)).await;
        Ok(Hands { hand: Some(opened.map_err(Error::GivenUp)??) })
    }

    /// Walls that stand, and walls that are missing.
    pub(crate) fn walls(&mut self) -> (Vec<String>, Vec<String>) {
        match self.hand.as_mut().map(|hand| &mut hand.shell) {
            Some(Kind::Each(shell)) => (shell.enforced(), shell.missing()),
            Some(Kind::One(terminal)) => terminal.shell().session().walls(),
            None => Default::default(),
        }
    }

    /// Runs a script, at most for `time`.
    pub(crate) async fn act(
        &mut self,
        shared: &Arc<Shared>,
        script: String,
        time: Duration,
    ) -> Result<Observation, String> {
        let shared = shared.clone();
        self.lend(move |hand| {
            let seen = match &mut hand.shell {
                Kind::Each(shell) => {
                    let mut action = Action::bash(&script).time(time);
                    if shared.harness.merges_output() {
                        action = action.merged();
                    }
                    for (key, value) in shared.harness.environment(shared.harness.workspace()) {
                        action = action.env(key, value);
                    }
                    shell.act(&action)
                }
                Kind::One(terminal) => terminal.shell().run_for(without_nul(script.trim()).as_ref(), time),
            };
            seen.map_err(|e| e.to_string())
        })
        .await
    }

    /// Types into the persistent bash, or starts a script in it; returns what was seen, the text for the model, and bash's
    /// directory. No longer than `most` is waited for it.
    pub(crate) async fn type_in(
        &mut self,
        input: Input,
        most: Duration,
    ) -> Result<(Observation, String, String), String> {
        self.lend(move |hand| match &mut hand.shell {
            Kind::One(terminal) => {
                let (seen, text) = terminal.run(&input, most).map_err(|e| e.to_string())?;
                Ok((seen, text, terminal.cwd()))
            }
            Kind::Each(_) => Err("this harness has no terminal".into()),
        })
        .await
    }

    /// Edits a file of the sandbox; returns what the model reads.
    pub(crate) async fn edit(&mut self, edit: Edit) -> Result<String, String> {
        self.lend(move |hand| {
            let editor = hand.editor.as_mut().ok_or("this harness has no editor")?;
            let mut files = InSandbox { shell: &mut hand.shell, broken: None };
            let said = editor.run(&edit, &mut files);
            files.broken.map_or(Ok(said), Err)
        })
        .await
    }

    /// What `bash -n` says against a script; nothing when it is well formed.
    pub(crate) async fn syntax_error(
        &mut self,
        script: String,
        time: Duration,
    ) -> Result<Option<String>, String> {
        let script = without_nul(&script).into_owned();
        if sbx_bash::Script::read(&script).is_ok() {
            return Ok(None);
        }
        // From its input, as SWE-ReX asks: the lines are then counted as the model does.
        let check = format!("bash -n << 'SOUNIQUEEOF'\n{}\nSOUNIQUEEOF", script.trim());
        self.lend(move |hand| {
            let seen = match &mut hand.shell {
                Kind::Each(shell) => shell.act(&Action::bash(&check).time(time).merged()),
                Kind::One(terminal) => terminal.shell().run_for(&check, time),
            };
            let seen = seen.map_err(|e| e.to_string())?;
            let said = || seen.stdout.text() + &seen.stderr.text();
            Ok((!seen.success()).then(|| format!("{}\n", said().trim_end())))
        })
        .await
    }

    /// All that the actions changed, as a git patch.
    pub(crate) async fn patch(&mut self) -> Result<String, String> {
        self.lend(|hand| {
            let changes = hand.changes().map_err(|e| e.to_string())?;
            changes.try_diff_text().map_err(|e| e.to_string())
        })
        .await
    }

    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Hand) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let mut hand = self.hand.take().ok_or("the sandbox is gone")?;
        let (hand, done) = blocking(move || {
            let done = work(&mut hand);
            (hand, done)
        })
        .await?;
        self.hand = Some(hand);
        done
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // Taking a sandbox down waits for the kernel; that is no work for a thread that serves others.
        if let (Some(hand), Ok(handle)) = (self.hand.take(), tokio::runtime::Handle::try_current()) {
            handle.spawn_blocking(move || drop(hand));
        }
    }
}

/// A text as bash reads it from a file or a terminal: NUL bytes are left out.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "").into() } else { text.into() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| format!("a thread of ours failed: {e}"))
}
