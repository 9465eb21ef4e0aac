//! What a command's name means, where programs and scripts are found, and what runs them.

use super::state::{Leave, Program, Run, Shell};
use super::variable::Variable;
use crate::builtin;
use std::sync::Arc;

/// What a command's name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Function,
    Builtin,
    /// A command, and its path.
    Program(Vec<u8>),
    /// A script of the workspace, by its path.
    Script(Vec<u8>),
}

/// Where commands appear to be.
const DIRECTORY: &[u8] = b"/usr/bin";
/// Where else they are found.
const DIRECTORIES: [&[u8]; 6] =
    [b"/usr/bin", b"/bin", b"/usr/local/bin", b"/usr/sbin", b"/sbin", b"/usr/local/sbin"];

impl Shell {
    /// Whether a policy lets this built-in run: those that stand for programs are subject to it.
    pub(crate) fn is_allowed(&self, name: &[u8]) -> bool {
        !builtin::stands_for_program(name) || self.world.programs.has(name)
    }

    /// What a name means; a path is looked for in the tree.
    pub(crate) fn meaning(&self, name: &[u8], functions: bool) -> Option<Meaning> {
        if functions && self.functions.contains_key(name) {
            return Some(Meaning::Function);
        }
        if builtin::find(name).is_some() && !builtin::stands_for_program(name) {
            return Some(Meaning::Builtin);
        }
        self.on_path(name)
    }

    /// A program or script that `PATH` finds.
    pub(crate) fn on_path(&self, name: &[u8]) -> Option<Meaning> {
        if name.contains(&b'/') {
            let (directory, base) = split_path(name);
            if DIRECTORIES.contains(&directory) && self.world.programs.has(base) {
                return Some(Meaning::Program(name.to_vec()));
            }
            let stat = self.world.tree.stat(&self.cwd, name, true).ok()?;
            return (stat.kind == crate::fs::Kind::File && stat.allows(1))
                .then(|| Meaning::Script(name.to_vec()));
        }
        let path = self.get(b"PATH").unwrap_or(DIRECTORY);
        for directory in path.split(|b| *b == b':') {
            if DIRECTORIES.contains(&directory) && self.world.programs.has(name) {
                // Commands lie in one directory; the others are links to it.
                let shown: &[u8] = if directory == b"/bin" { b"/bin" } else { DIRECTORY };
                return Some(Meaning::Program([shown, b"/", name].concat()));
            }
            if DIRECTORIES.contains(&directory) {
                continue;
            }
            let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
            let whole = [directory, b"/", name].concat();
            if let Ok(stat) = self.world.tree.stat(&self.cwd, &whole, true)
                && stat.kind == crate::fs::Kind::File
                && stat.allows(1)
            {
                return Some(Meaning::Script(whole));
            }
        }
        None
    }

    /// Runs a program or script.
    pub(crate) fn run_program(&mut self, name: &[u8], argv: &[Vec<u8>]) -> Run {
        match self.on_path(name) {
            Some(Meaning::Program(path)) => {
                let base = split_path(&path).1.to_vec();
                // `/usr/bin/test` and `env printf`: what is a built-in here.
                if let Some(builtin::Builtin::Plain(run)) = builtin::find(&base) {
                    self.status = run(self, argv)?;
                    return Ok(());
                }
                self.status = self.run_applet(&base, argv)?;
                Ok(())
            }
            Some(Meaning::Script(path)) if self.world.runs_files => self.run_script_file(&path, argv),
            Some(Meaning::Script(path)) => {
                self.complain_bytes(&[&path[..], b": Permission denied"].concat());
                self.status = 126;
                Ok(())
            }
            _ => self.not_found(name),
        }
    }

    fn not_found(&mut self, name: &[u8]) -> Run {
        if !name.contains(&b'/') {
            if let Some(handler) = self.functions.get(&b"command_not_found_handle"[..]).cloned() {
                return self.call(&handler, vec![name.to_vec()]);
            }
            self.complain_bytes(&[name, b": command not found"].concat());
            self.status = 127;
            return Ok(());
        }
        let (why, status) = match self.world.tree.stat(&self.cwd, name, true) {
            Ok(stat) if stat.kind == crate::fs::Kind::Dir => ("Is a directory", 126),
            Ok(_) => ("Permission denied", 126),
            Err(super::Errno::NOENT) => ("No such file or directory", 127),
            Err(super::Errno::NOTDIR) => ("Not a directory", 126),
            Err(super::Errno::LOOP) => ("Too many levels of symbolic links", 126),
            Err(_) => ("Permission denied", 126),
        };
        self.complain_bytes(&[name, b": ", why.as_bytes()].concat());
        self.status = status;
        Ok(())
    }

    /// Runs a command of the module.
    pub(crate) fn run_applet(&mut self, name: &[u8], argv: &[Vec<u8>]) -> Result<i32, Leave> {
        self.check()?;
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let descriptors = self
            .descriptors
            .iter()
            .filter_map(|(fd, handle)| Some((u32::try_from(*fd).ok()?, handle.clone())))
            .collect();
        let environment = self.environment();
        let programs = self.world.programs.clone();
        let status = programs.run(Program {
            name,
            argv,
            environment,
            cwd: &self.cwd,
            descriptors,
            umask: self.umask,
            budget: &self.budget,
            shell: self,
        });
        drop(running);
        self.check()?;
        Ok(status)
    }

    /// The environment of a command.
    pub(crate) fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.variables.environment()
    }

    /// Runs `./script`: one of bash or sh is interpreted here.
    fn run_script_file(&mut self, path: &[u8], argv: &[Vec<u8>]) -> Run {
        let opened = self.world.tree.open(&self.cwd, path, crate::fs::Open::read());
        let text = match opened {
            Ok(handle) => self.read_all(&handle)?,
            Err(e) => {
                let why = super::message(e);
                self.complain_bytes(&[path, b": ", why.as_bytes()].concat());
                self.status = 126;
                return Ok(());
            }
        };
        let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut arguments = argv.to_vec();
        if let Some(interpreter) = first.strip_prefix(b"#!") {
            let words: Vec<&[u8]> =
                interpreter.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty()).collect();
            let mut words = words.as_slice();
            if words.first().is_some_and(|w| split_path(w).1 == b"env") {
                words = &words[1..];
                while words.first().is_some_and(|w| w.starts_with(b"-") || w.contains(&b'=')) {
                    words = &words[1..];
                }
            }
            let Some(program) = words.first() else {
                self.status = 126;
                return Ok(());
            };
            let base = split_path(program).1;
            if !matches!(base, b"bash" | b"sh" | b"dash") {
                if !self.world.programs.has(base) {
                    let shown =
                        [path, b": ", program, b": bad interpreter: No such file or directory"].concat();
                    self.complain_bytes(&shown);
                    self.status = 126;
                    return Ok(());
                }
                let mut new: Vec<Vec<u8>> = words.iter().map(|w| w.to_vec()).collect();
                new.push(path.to_vec());
                new.extend(arguments.drain(1..));
                return self.run_program(base, &new);
            }
        } else if text.iter().take(80).any(|b| *b == 0) {
            self.complain_bytes(&[path, b": cannot execute binary file: Exec format error"].concat());
            self.status = 126;
            return Ok(());
        }
        if !arguments.is_empty() {
            arguments.remove(0);
        }
        self.status = self.child_script(path, &text, arguments, path)?;
        Ok(())
    }

    /// Runs a script as a shell of its own.
    pub(crate) fn child_script(
        &mut self,
        name: &[u8],
        text: &[u8],
        arguments: Vec<Vec<u8>>,
        origin: &[u8],
    ) -> Result<i32, Leave> {
        self.child(name, arguments, origin, false, |shell| {
            shell.script(text, 1, if origin == b"bash" { " -c:" } else { "" })
        })
    }

    /// Runs something in a new shell, which has of this one the environment only.
    pub(crate) fn child(
        &mut self,
        name: &[u8],
        arguments: Vec<Vec<u8>>,
        origin: &[u8],
        is_command: bool,
        run: impl FnOnce(&mut Shell) -> Run,
    ) -> Result<i32, Leave> {
        self.deeper()?;
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let mut child = self.fork();
        child.subshell = 0;
        child.foreground = None;
        child.signal = self.signal.clone();
        child.pid = self.next_pid();
        (child.main_pid, child.main_signal) = (child.pid, Arc::default());
        child.variables = super::variable::Variables::default();
        for (key, value) in self.variables.environment() {
            child.variables.put(&key, Variable { exported: true, ..Variable::text(value) });
        }
        child.functions = Arc::default();
        child.aliases = Arc::default();
        child.options = Arc::default();
        child.traps = Arc::default();
        child.calls = Arc::default();
        child.directories = Arc::default();
        child.name = Arc::new(name.to_vec());
        child.origin = Arc::new(origin.to_vec());
        child.is_command = is_command;
        child.arguments = Arc::new(arguments);
        child.status = 0;
        child.forgiving = 0;
        child.sourced = 0;
        child.line = 1;
        child.last_background = None;
        child.prepare();
        let status = child.run_to_end(run);
        drop(child);
        drop(running);
        self.check()?;
        Ok(status)
    }
}

/// Directory and last name of a path.
pub(crate) fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
