//! A shell's state: what a subshell gets a copy of.

use super::syntax::Function;
use super::variable::{Value, Variable, Variables};
use crate::engine::budget::{Budget, Stop};
use crate::fs::{Handle, Tree};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

/// What runs the commands that are no built-ins.
pub(crate) trait Programs: Send + Sync {
    /// Whether there is a command of this name.
    fn has(&self, name: &[u8]) -> bool;
    /// All names.
    fn names(&self) -> Vec<Vec<u8>>;
    /// Runs one, and returns its status as `$?`.
    fn run(&self, program: Program<'_>) -> i32;
}

/// A command to run.
pub(crate) struct Program<'a> {
    pub name: &'a [u8],
    pub argv: &'a [Vec<u8>],
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub cwd: &'a [u8],
    pub descriptors: Vec<(u32, Handle)>,
    pub umask: u32,
    pub budget: &'a Budget,
    /// The shell that runs it, for commands that run commands.
    pub shell: &'a Shell,
}

/// What all shells of an action share.
#[derive(Clone)]
pub(crate) struct World {
    pub tree: Tree,
    pub programs: Arc<dyn Programs>,
    /// Threads for what runs beside the script.
    pub crew: crate::engine::crew::Crew,
    /// Whether `./script` is run. A workspace is noexec to processes, so natively it is not.
    pub runs_files: bool,
}

/// Options of `set` and `shopt`.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub errexit: bool,
    pub nounset: bool,
    pub xtrace: bool,
    pub noglob: bool,
    pub noexec: bool,
    pub noclobber: bool,
    pub pipefail: bool,
    pub allexport: bool,
    pub verbose: bool,
    pub errtrace: bool,
    pub functrace: bool,
    pub posix: bool,
    pub physical: bool,
    pub braceexpand: bool,
    pub hashall: bool,
    /// Of `shopt`, those that are on.
    pub shopt: std::collections::BTreeSet<&'static str>,
}

/// The state of a shell.
#[derive(Clone)]
pub(crate) struct Shell {
    pub world: World,
    pub budget: Budget,
    /// What jobs in the background are a part of.
    pub around: Budget,
    /// Of a shell that reads line by line from a terminal: what Ctrl-C ends.
    pub foreground: Option<super::Foreground>,
    pub variables: Variables,
    pub functions: Arc<HashMap<Vec<u8>, Defined>>,
    pub aliases: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub descriptors: Arc<BTreeMap<i32, Handle>>,
    pub cwd: Arc<Vec<u8>>,
    pub directories: Arc<Vec<Vec<u8>>>,
    /// `$0`.
    pub name: Arc<Vec<u8>>,
    /// What messages begin with: `bash`, or a script's name.
    pub origin: Arc<Vec<u8>>,
    /// Whether its commands were an argument (`-c`).
    pub is_command: bool,
    pub arguments: Arc<Vec<Vec<u8>>>,
    pub options: Arc<Options>,
    pub umask: u32,
    pub status: i32,
    /// The status before the built-in that runs.
    pub before: i32,
    pub pipe_status: Arc<Vec<i32>>,
    pub line: u32,
    /// What runs, or ran last outside of a trap: `$BASH_COMMAND`.
    pub current: Option<Arc<super::syntax::Command>>,
    /// Names of the functions that run, innermost last, with the line of the call.
    pub calls: Arc<Vec<Call>>,
    pub traps: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub in_trap: bool,
    /// Above 0 a failure ends nothing: conditions, `!`, all but the last of `&&` and `||`.
    pub forgiving: u32,
    pub loops: u32,
    pub sourced: u32,
    /// How often this is a subshell of a subshell.
    pub subshell: u32,
    pub jobs: super::job::Jobs,
    pub last_background: Option<i32>,
    pub last_argument: Arc<Vec<u8>>,
    pub started: Instant,
    pub random: u32,
    /// The status of the last substitution, if one ran since this was cleared.
    pub substituted: Option<i32>,
    /// Descriptors of process substitutions of the command that is expanded.
    pub processes: Vec<(i32, super::job::Waiter)>,
    /// The lowest address that the stack may reach.
    pub floor: usize,
    /// A signal that ends this shell, when not 0.
    pub signal: Arc<AtomicI32>,
    pub getopts_at: usize,
    /// What this shell's text and variables take of the action's memory.
    pub memory: super::memory::Account,
    pub pids: Arc<AtomicI32>,
    pub pid: i32,
    /// `$$`: of the shell that this is a subshell of, and the signal that ends that one.
    pub main_pid: i32,
    pub main_signal: Arc<AtomicI32>,
    pub hashed: Arc<BTreeMap<Vec<u8>, u32>>,
}

/// A function, and what messages from within it begin with.
#[derive(Clone, Debug)]
pub(crate) struct Defined {
    pub function: Arc<Function>,
    pub origin: Arc<Vec<u8>>,
}

/// A function or file that runs.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub name: Vec<u8>,
    pub line: u32,
    pub is_source: bool,
}

/// Why a command list is left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Break(u32),
    Continue(u32),
    Return,
    /// The rest of the line is not run.
    Discard,
    Exit,
    /// A signal, or the end of the action.
    Killed(i32),
}

/// How running something ends.
pub(crate) type Run = Result<(), Leave>;

impl Shell {
    /// A copy for a subshell.
    pub(crate) fn fork(&self) -> Shell {
        let mut copy = self.clone();
        copy.subshell += 1;
        copy.loops = 0;
        copy.signal = Arc::new(AtomicI32::new(0));
        copy.jobs = super::job::Jobs(Vec::new(), self.jobs.0.clone());
        copy.processes = Vec::new();
        copy.in_trap = false;
        copy.memory = self.memory.fork();
        if !copy.traps.is_empty() {
            // Traps are not inherited, but those that ignore; ERR only with `set -E`.
            let errtrace = copy.options.errtrace;
            Arc::make_mut(&mut copy.traps)
                .retain(|name, action| action.is_empty() || (name == b"ERR" && errtrace));
        }
        copy
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Run {
        if let Err(stop) = self.budget.check() {
            return Err(Leave::Killed(if stop == Stop::Interrupted { super::execute::SIGINT } else { 9 }));
        }
        match self.signal.load(Ordering::Relaxed) | self.main_signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Leave::Killed(signal)),
        }
    }

    /// Refuses to go deeper than the stack allows.
    pub(crate) fn deeper(&mut self) -> Run {
        let here = 0u8;
        if (&raw const here).addr() < self.floor {
            let nested = self.calls.len();
            self.complain(&format!("maximum nesting level exceeded ({nested})"));
            self.status = 1;
            return Err(Leave::Exit);
        }
        Ok(())
    }

    /// The text of a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.variables.get(name).and_then(Variable::scalar)
    }

    /// Sets a variable of the shell's own, whatever its attributes.
    pub(crate) fn set_own(&mut self, name: &[u8], value: impl Into<Vec<u8>>) {
        self.variables.entry(name).value = Value::Text(value.into());
    }

    /// Sets an array of the shell's own.
    pub(crate) fn set_own_array(&mut self, name: &[u8], values: impl IntoIterator<Item = Vec<u8>>) {
        let array = (0..).zip(values).collect();
        self.variables.entry(name).value = Value::Array(array);
    }

    /// Whether text is UTF-8 here.
    pub(crate) fn is_utf8(&self) -> bool {
        let set = |name: &[u8]| self.get(name).filter(|v| !v.is_empty());
        let locale = set(b"LC_ALL").or_else(|| set(b"LC_CTYPE")).or_else(|| set(b"LANG"));
        locale.is_some_and(|l| {
            let lower = l.to_ascii_lowercase();
            lower.windows(5).any(|w| w == b"utf-8") || lower.windows(4).any(|w| w == b"utf8")
        })
    }

    /// Whether an option of `shopt` is on.
    pub(crate) fn shopt(&self, name: &str) -> bool {
        self.options.shopt.contains(name)
    }

    /// How patterns are read.
    pub(crate) fn rules(&self) -> super::pattern::Rules {
        super::pattern::Rules {
            extended: self.shopt("extglob"),
            ignore_case: self.shopt("nocasematch"),
            utf8: self.is_utf8(),
        }
    }

    /// An open file of this shell.
    pub(crate) fn descriptor(&self, fd: i32) -> Option<Handle> {
        self.descriptors.get(&fd).cloned()
    }

    /// Writes to standard output; whether all of it went.
    pub(crate) fn print(&mut self, bytes: &[u8]) -> Result<(), super::Errno> {
        match self.descriptors.get(&1) {
            Some(handle) => handle.write_all(bytes, &self.budget),
            None => Err(super::Errno::BADF),
        }
    }

    /// Writes to standard error.
    pub(crate) fn print_error(&self, bytes: &[u8]) {
        if let Some(handle) = self.descriptors.get(&2) {
            let _ = handle.write_all(bytes, &self.budget);
        }
    }

    /// Prints a message, as bash does: who, which line, what.
    pub(crate) fn complain(&self, message: &str) {
        self.complain_bytes(message.as_bytes());
    }

    /// As [`Shell::complain`].
    pub(crate) fn complain_bytes(&self, message: &[u8]) {
        let mut out = self.origin.to_vec();
        match self.is_interactive() {
            true => out.extend_from_slice(b": "),
            false => out.extend_from_slice(format!(": line {}: ", self.line).as_bytes()),
        }
        out.extend_from_slice(message);
        out.push(b'\n');
        self.print_error(&out);
    }

    /// A number that looks like that of a process.
    pub(crate) fn next_pid(&self) -> i32 {
        self.pids.fetch_add(1, Ordering::Relaxed)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            errexit: false,
            nounset: false,
            xtrace: false,
            noglob: false,
            noexec: false,
            noclobber: false,
            pipefail: false,
            allexport: false,
            verbose: false,
            errtrace: false,
            functrace: false,
            posix: false,
            physical: false,
            braceexpand: true,
            hashall: true,
            shopt: crate::builtin::options::SHOPT
                .iter()
                .filter(|(_, on)| *on)
                .map(|(name, _)| *name)
                .collect(),
        }
    }
}
