//! A shell begins.

use super::memory::Account;
use super::state::{Options, Shell, World};
use super::variable::{Variable, Variables};
use crate::engine::budget::Budget;
use crate::fs::Handle;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Instant;

/// Number of the first process, as it looks from within.
const FIRST_PID: i32 = 2;

/// What a shell is given.
pub(crate) struct Setup {
    pub world: World,
    pub budget: Budget,
    pub stdio: [Handle; 3],
    pub environment: BTreeMap<Vec<u8>, Vec<u8>>,
    pub cwd: Vec<u8>,
    pub umask: u32,
}

/// A new shell, as `bash -c` begins. To be called on a thread with a stack of [`super::STACK`].
pub(crate) fn start(setup: Setup) -> Shell {
    let [input, output, errors] = setup.stdio;
    let mut variables = Variables::default();
    for (name, value) in setup.environment {
        if super::is_name(&name) {
            variables.put(&name, Variable { exported: true, ..Variable::text(value) });
        }
    }
    let memory = Account::new(&setup.budget);
    let mut shell = Shell {
        world: setup.world,
        around: setup.budget.clone(),
        budget: setup.budget,
        foreground: None,
        variables,
        functions: Arc::default(),
        aliases: Arc::default(),
        descriptors: Arc::new(BTreeMap::from([(0, input), (1, output), (2, errors)])),
        cwd: Arc::new(setup.cwd),
        directories: Arc::default(),
        name: Arc::new(b"bash".to_vec()),
        origin: Arc::new(b"bash".to_vec()),
        is_command: true,
        arguments: Arc::default(),
        options: Arc::new(Options::default()),
        umask: setup.umask,
        status: 0,
        before: 0,
        pipe_status: Arc::default(),
        line: 1,
        current: None,
        calls: Arc::default(),
        traps: Arc::default(),
        in_trap: false,
        forgiving: 0,
        loops: 0,
        sourced: 0,
        subshell: 0,
        jobs: super::job::Jobs::default(),
        last_background: None,
        last_argument: Arc::new(b"bash".to_vec()),
        started: Instant::now(),
        random: 0,
        substituted: None,
        processes: Vec::new(),
        floor: super::stack::floor(),
        signal: Arc::default(),
        getopts_at: 0,
        memory,
        pids: Arc::new(AtomicI32::new(FIRST_PID + 1)),
        pid: FIRST_PID,
        main_pid: FIRST_PID,
        main_signal: Arc::default(),
        hashed: Arc::default(),
    };
    let mut seed = [0; 4];
    if crate::fs::random(&mut seed).is_ok() {
        shell.random = u32::from_ne_bytes(seed) & 0x7fff_ffff;
    }
    shell.prepare();
    shell
}

impl Shell {
    /// Sets the variables that every shell has.
    pub(crate) fn prepare(&mut self) {
        let defaults: [(&[u8], &str); 10] = [
            (b"IFS", " \t\n"),
            (b"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            (b"PS4", "+ "),
            (b"BASH", "/usr/bin/bash"),
            (b"BASH_VERSION", "5.2.15(1)-release"),
            (b"HOSTTYPE", "x86_64"),
            (b"MACHTYPE", "x86_64-pc-linux-gnu"),
            (b"OSTYPE", "linux-gnu"),
            (b"HOSTNAME", "sbx"),
            (b"OPTIND", "1"),
        ];
        for (name, value) in defaults {
            if name == b"IFS" || self.get(name).is_none() {
                self.set_own(name, value);
            }
        }
        self.set_own(b"OPTERR", "1");
        self.set_own(b"PPID", "1");
        for name in [&b"UID"[..], b"EUID"] {
            self.set_own(name, "1000");
            self.variables.entry(name).integer = true;
            self.variables.entry(name).readonly = true;
        }
        let version = ["5", "2", "15", "1", "release", "x86_64-pc-linux-gnu"];
        self.set_own_array(b"BASH_VERSINFO", version.map(|v| v.as_bytes().to_vec()));
        let level = self.get(b"SHLVL").and_then(|v| std::str::from_utf8(v).ok()?.parse::<i32>().ok());
        self.set_own(b"SHLVL", (level.unwrap_or(0) + 1).to_string());
        self.variables.entry(b"SHLVL").exported = true;
        let cwd = self.cwd.to_vec();
        // A way here through links is kept, when it is one.
        let kept = self.get(b"PWD").is_some_and(|pwd| {
            pwd.starts_with(b"/") && self.world.tree.canonical(b"/", pwd).is_ok_and(|real| real == cwd)
        });
        if !kept {
            self.set_own(b"PWD", cwd);
        }
        self.variables.entry(b"PWD").exported = true;
        if self.variables.get(b"OLDPWD").is_none() {
            self.variables.put(b"OLDPWD", Variable { exported: true, ..Variable::default() });
        }
    }
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// As `$?` says it.
    pub status: i32,
    /// The signal that ended the shell itself.
    pub signal: Option<i32>,
}

/// Runs a script's text to its end, the trap `EXIT` with it.
pub(crate) fn run_script(shell: &mut Shell, text: &[u8]) -> Ended {
    let ended = shell.script(text, 1, " -c:");
    let signal = match ended {
        Err(super::Leave::Killed(signal)) => Some(signal),
        _ => None,
    };
    Ended { status: shell.finish(ended), signal }
}
