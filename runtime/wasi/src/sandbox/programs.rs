//! The commands that a policy allows, run by the machine.

use crate::builtin;
use crate::engine::Machine;
use crate::engine::job::{Call, Job, Spawn};
use crate::shell::{Program, Programs, Shell};
use sbx_runtime::Policy;
use std::sync::{Arc, Mutex, PoisonError};

/// The commands of the machine that a policy allows.
pub(super) struct Commands {
    machine: &'static Machine,
    /// Sorted. Some of them the interpreter has itself.
    names: Vec<String>,
}

impl Commands {
    pub(super) fn new(machine: &'static Machine, policy: &Policy) -> Commands {
        let there = |name: &&String| machine.has(name) || builtin::find(name.as_bytes()).is_some();
        Commands { machine, names: policy.commands.iter().filter(there).cloned().collect() }
    }

    /// Names that appear as programs.
    pub(super) fn visible(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(super) fn is_visible(&self, name: &str) -> bool {
        self.has(name.as_bytes())
    }
}

impl Programs for Commands {
    fn has(&self, name: &[u8]) -> bool {
        self.names.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
    }

    fn names(&self) -> Vec<Vec<u8>> {
        self.names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    fn run(&self, program: Program<'_>) -> i32 {
        let mut argv = program.argv.to_vec();
        match argv.first_mut() {
            // The machine looks at the name, not at the way to it.
            Some(first) => *first = program.name.to_vec(),
            None => argv.push(program.name.to_vec()),
        }
        let spawn = within(program.shell);
        let mut env = program.environment;
        // Who the agent is: the same as in a native sandbox.
        env.extend([("SBX_UID", "1000"), ("SBX_GID", "1000")].map(|(k, v)| (k.into(), v.into())));
        let job = Job {
            argv,
            env,
            cwd: program.cwd.to_vec(),
            fds: program.descriptors,
            tree: &program.shell.world.tree,
            budget: program.budget,
            umask: program.umask,
            spawn: Some(spawn),
        };
        self.machine.run(job).code()
    }
}

/// Runs the commands of a command, in a copy of this shell.
pub(crate) fn within(shell: &Shell) -> Arc<dyn Spawn> {
    Arc::new(Within(Mutex::new(shell.clone())))
}

/// A shell in which the commands of a command run.
struct Within(Mutex<Shell>);

impl Spawn for Within {
    fn spawn(&self, call: Call) -> Option<i32> {
        let mut shell = self.0.lock().unwrap_or_else(PoisonError::into_inner).fork();
        let name = call.argv.first()?;
        // What `execvp` finds: neither a function nor what only a shell has.
        shell.on_path(name)?;
        let _running = shell.budget.begin().ok()?;
        shell.descriptors = Arc::new((0..).zip(call.stdio).collect());
        shell.cwd = Arc::new(call.cwd);
        shell.umask = call.umask;
        Some(shell.run_to_end(|shell| shell.run_program(name, &call.argv)))
    }
}
