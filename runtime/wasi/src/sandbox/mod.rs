//! A sandbox without processes, with the surface of the native one: a policy, a workspace, actions, changes.

mod fit;
pub(crate) mod programs;
mod run;
mod session;

use crate::engine::Machine;
use crate::engine::crew::Crew;
use crate::fs::Tree;
use crate::shell::World;
use programs::Commands;
use sbx_runtime::{Action, Changes, Error, Observation, Policy, Stream, Timings, Workspace, thread};
pub use session::Session;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A confinement without processes: an interpreter of our own runs the scripts, and each command is a WebAssembly module.
/// Dropping it leaves nothing.
///
/// ```no_run
/// use sbx_runtime::{Action, Policy};
/// let mut sandbox = sbx_wasi::Sandbox::open(&Policy::preset("paranoid")?, "checkout")?;
/// let seen = sandbox.run(&Action::bash("grep -rn TODO . | wc -l"))?;
/// print!("{}", seen.stdout.text());
/// print!("{}", sandbox.changes()?.diff_text());
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
pub struct Sandbox {
    policy: Policy,
    lower: PathBuf,
    tree: Tree,
    crew: Crew,
    commands: Arc<Commands>,
    env: BTreeMap<String, String>,
    /// Whether the walls around the threads stand; known when the first thread has begun.
    confined: Arc<OnceLock<bool>>,
    timings: Timings,
}

impl Sandbox {
    /// Opens `workspace` under `policy`. The directory itself is never written.
    ///
    /// # Errors
    /// The workspace cannot be used, the commands' module cannot be loaded, or the policy asks for what only native
    /// processes have: the message names the key.
    pub fn open(policy: &Policy, workspace: impl Into<Workspace>) -> Result<Sandbox, Error> {
        let mut timings = Timings::start();
        fit::check(policy)?;
        let workspace = workspace.into().resolved()?;
        workspace.check_place()?;
        let machine = Machine::load()?;
        timings.end("load the commands");
        let commands = Commands::new(machine, policy);
        let visible: Vec<&str> = commands.visible().collect();
        let tree = Tree::over(&workspace, policy, &visible)?;
        let env = sbx_runtime::environment(policy, workspace.place());
        let confined = Arc::new(OnceLock::new());
        let crew = Crew::new({
            let (tree, confined) = (tree.clone(), confined.clone());
            move || {
                let stands = thread::confine(&tree.host_directories()).is_ok();
                confined.get_or_init(|| stands);
            }
        });
        timings.end("open the workspace");
        Ok(Sandbox {
            policy: policy.clone(),
            lower: workspace.lower().to_path_buf(),
            tree,
            crew,
            commands: Arc::new(commands),
            env,
            confined,
            timings,
        })
    }

    /// Runs an action to its end and tells what happened.
    ///
    /// # Errors
    /// Only when *we* fail. What the action does wrong is an [`Outcome`](sbx_runtime::Outcome).
    pub fn run(&mut self, action: &Action) -> Result<Observation, Error> {
        run::run(self, action, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Runs an action and hands its output on as it comes; otherwise as [`Sandbox::run`]. After a `Break` a stream is handed
    /// on no more.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn run_with(
        &mut self,
        action: &Action,
        seen: &mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<Observation, Error> {
        run::run(self, action, seen)
    }

    /// What the actions changed so far.
    ///
    /// # Errors
    /// A directory of the workspace cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        if !self.policy.write_workspace {
            return Ok(Changes::none(&self.lower));
        }
        let what = || "the changes of the workspace".to_string();
        let system = |reason| Error::System { what: what(), reason };
        let changes = self.tree.changes(&self.lower).map_err(system)?;
        let lower = self.tree.host_directories().first().map(|lower| lower.try_clone_to_owned());
        Ok(match lower.transpose().map_err(system)? {
            Some(lower) => changes.over(lower),
            None => changes,
        })
    }

    /// What all shells of the sandbox share.
    fn world(&self) -> World {
        World {
            tree: self.tree.clone(),
            programs: self.commands.clone(),
            crew: self.crew.clone(),
            runs_files: false,
        }
    }

    /// The policy that holds.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Walls that stand: none of them is a wall of the kernel's but those whose names begin with `thread:`.
    pub fn enforced(&self) -> Vec<String> {
        let mut names = ["wasm", "no-processes", "no-network", "limits"].map(String::from).to_vec();
        if self.confined.get().copied().unwrap_or(true) {
            names.extend(thread::walls());
        }
        names
    }

    /// Where the time of [`Sandbox::open`] went.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("policy", &self.policy.name).finish_non_exhaustive()
    }
}
