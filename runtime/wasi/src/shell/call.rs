//! Simple commands: what their name means, and what they are given.

use super::state::{Leave, Program, Run, Shell};
use super::syntax::{Argument, Assigned, Assignment, Redirect, Simple};
use super::variable::Variable;
use crate::builtin;
use std::sync::Arc;

/// What a word of a command became.
#[derive(Clone, Debug)]
pub(crate) enum Expanded<'a> {
    Field(Vec<u8>),
    /// Behind `declare` and its like.
    Assignment(&'a Assignment),
}

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
    /// Runs a simple command.
    pub(super) fn simple(&mut self, simple: &Simple, redirects: &[Redirect]) -> Run {
        if self.options.noexec {
            return Ok(());
        }
        self.trap_debug()?;
        self.substituted = None;
        let before = self.processes.len();
        let saved_line = self.line;
        let words = match self.expanded(&simple.words) {
            Ok(words) => words,
            Err(Leave::Discard) => {
                self.close_processes(before);
                return self.discarded();
            }
            Err(leave) => return Err(leave),
        };
        self.line = saved_line;
        let done = if words.is_empty() {
            self.assignments_alone(simple, redirects)
        } else {
            self.named(simple, words, redirects)
        };
        self.close_processes(before);
        done
    }

    /// An expansion failed: the line ends, and with `set -e` the shell.
    fn discarded(&mut self) -> Run {
        if self.status == 0 {
            self.status = 1;
        }
        Err(Leave::Discard)
    }

    fn trap_debug(&mut self) -> Run {
        if self.traps.is_empty() || self.in_trap {
            return Ok(());
        }
        let Some(action) = self.traps.get(&b"DEBUG"[..]).cloned() else { return Ok(()) };
        if self.variables.in_function() && !self.options.functrace {
            return Ok(());
        }
        let status = self.status;
        self.in_trap = true;
        let line = self.line;
        let done = self.script(&action, line, " trap:");
        self.line = line;
        self.in_trap = false;
        self.status = status;
        done
    }

    fn expanded<'a>(&mut self, words: &'a [Argument]) -> Result<Vec<Expanded<'a>>, Leave> {
        let mut out = Vec::with_capacity(words.len());
        let mut fields = Vec::new();
        for word in words {
            match word {
                Argument::Word(word) => {
                    self.word_into(word, &mut fields)?;
                    out.extend(fields.drain(..).map(Expanded::Field));
                }
                Argument::Assignment(assignment) => out.push(Expanded::Assignment(assignment)),
            }
        }
        Ok(out)
    }

    fn assignments_alone(&mut self, simple: &Simple, redirects: &[Redirect]) -> Run {
        self.status = 0;
        if !redirects.is_empty() {
            let saved = self.descriptors.clone();
            let done = self.redirect_all(redirects);
            self.descriptors = saved;
            match done {
                Ok(()) => {}
                Err(Leave::Discard) => {
                    self.status = 1;
                    return self.failed();
                }
                Err(leave) => return Err(leave),
            }
        }
        for assignment in &simple.assignments {
            match self.assign(assignment) {
                Ok(()) => {}
                Err(Leave::Discard) => return self.discarded(),
                Err(leave) => return Err(leave),
            }
        }
        self.status = self.substituted.take().unwrap_or(0);
        self.failed()
    }

    fn named(&mut self, simple: &Simple, words: Vec<Expanded<'_>>, redirects: &[Redirect]) -> Run {
        let Some(Expanded::Field(name)) = words.first().cloned() else { return Ok(()) };
        if self.options.xtrace {
            self.trace_words(simple, &words);
        }
        if name == b"exec" && self.functions.get(&name).is_none() {
            return self.exec(simple, &words, redirects);
        }
        let saved = self.descriptors.clone();
        if !redirects.is_empty() {
            match self.redirect_all(redirects) {
                Ok(()) => {}
                Err(Leave::Discard) => {
                    self.descriptors = saved;
                    self.status = 1;
                    return self.failed();
                }
                Err(leave) => {
                    self.descriptors = saved;
                    return Err(leave);
                }
            }
        }
        let hidden = match self.assign_for_command(&simple.assignments) {
            Ok(hidden) => hidden,
            Err(leave) => {
                self.descriptors = saved;
                return Err(leave);
            }
        };
        let last = match words.last() {
            Some(Expanded::Field(text)) => text.clone(),
            Some(Expanded::Assignment(assignment)) => assignment.name.clone(),
            None => Vec::new(),
        };
        let done = self.invoke(&name, words, true);
        self.last_argument = Arc::new(last);
        for (name, before) in hidden.into_iter().rev() {
            match before {
                Some(variable) => self.variables.put(&name, variable),
                None => self.variables.remove(&name),
            }
        }
        self.descriptors = saved;
        done?;
        self.failed()
    }

    /// Sets what stands before a command, for as long as it runs: what was there before.
    fn assign_for_command(
        &mut self,
        assignments: &[Assignment],
    ) -> Result<Vec<(Vec<u8>, Option<Variable>)>, Leave> {
        let mut hidden = Vec::new();
        for assignment in assignments {
            hidden.push((assignment.name.clone(), self.variables.get(&assignment.name).cloned()));
            self.assign(assignment)?;
            if matches!(assignment.value, Assigned::Word(_)) && assignment.index.is_none() {
                self.variables.entry(&assignment.name).exported = true;
            }
        }
        Ok(hidden)
    }

    /// Runs a command by its name.
    pub(crate) fn invoke(&mut self, name: &[u8], words: Vec<Expanded<'_>>, functions: bool) -> Run {
        if functions && let Some(defined) = self.functions.get(name).cloned() {
            let arguments = self.fields_of(words, 1)?;
            return self.call(&defined, arguments);
        }
        if let Some(builtin) = builtin::find(name)
            && self.is_allowed(name)
        {
            self.before = self.status;
            self.status = 0;
            return self.run_builtin(builtin, words);
        }
        let argv = self.fields_of(words, 0)?;
        self.run_program(name, &argv)
    }

    fn run_builtin(&mut self, builtin: builtin::Builtin, words: Vec<Expanded<'_>>) -> Run {
        match builtin {
            builtin::Builtin::Plain(run) => {
                let argv = self.fields_of(words, 0)?;
                let status = run(self, &argv)?;
                self.status = status;
            }
            builtin::Builtin::Declaring(run) => {
                let status = run(self, &words)?;
                self.status = status;
            }
        }
        Ok(())
    }

    /// The fields of words, without the first few; an assignment is its text.
    pub(crate) fn fields_of(&mut self, words: Vec<Expanded<'_>>, skip: usize) -> Result<Vec<Vec<u8>>, Leave> {
        words
            .into_iter()
            .skip(skip)
            .map(|word| match word {
                Expanded::Field(field) => Ok(field),
                Expanded::Assignment(assignment) => {
                    let operator: &[u8] = if assignment.append { b"+=" } else { b"=" };
                    let value = match &assignment.value {
                        Assigned::Word(word) => self.assigned(word)?,
                        Assigned::Array(_) => b"()".to_vec(),
                    };
                    let index = match &assignment.index {
                        Some(index) => [&b"["[..], &self.heredoc(index)?, b"]"].concat(),
                        None => Vec::new(),
                    };
                    Ok([&assignment.name[..], &index, operator, &value].concat())
                }
            })
            .collect()
    }

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

    /// `exec`: redirections stay; a command takes the shell's place.
    fn exec(&mut self, simple: &Simple, words: &[Expanded<'_>], redirects: &[Redirect]) -> Run {
        match self.redirect_all(redirects) {
            Ok(()) => {}
            Err(Leave::Discard) => {
                self.status = 1;
                return Err(Leave::Exit);
            }
            Err(leave) => return Err(leave),
        }
        // The pipes of process substitutions stay open.
        self.processes.clear();
        for assignment in &simple.assignments {
            self.assign(assignment)?;
        }
        let mut words = self.fields_of(words.to_vec(), 1)?;
        let mut name = None;
        while let Some(word) = words.first() {
            match word.as_slice() {
                b"--" => {
                    words.remove(0);
                    break;
                }
                b"-a" if words.len() > 1 => {
                    words.remove(0);
                    name = Some(words.remove(0));
                }
                b"-c" | b"-l" => {
                    words.remove(0);
                }
                [b'-', ..] => {
                    let shown = [b"exec: ", &word[..], b": invalid option"].concat();
                    self.complain_bytes(&shown);
                    self.print_error(
                        b"exec: usage: exec [-cl] [-a name] [command [argument ...]] [redirection ...]\n",
                    );
                    self.status = 2;
                    return Err(Leave::Exit);
                }
                _ => break,
            }
        }
        if words.is_empty() {
            self.status = 0;
            return Ok(());
        }
        let program = words[0].clone();
        if let Some(name) = name {
            words[0] = name;
        }
        if self.on_path(&program).is_none() {
            let why = if program.contains(&b'/') { ": No such file or directory" } else { ": not found" };
            self.complain_bytes(&[b"exec: ", &program[..], why.as_bytes()].concat());
            self.status = 127;
            return Err(Leave::Exit);
        }
        Arc::make_mut(&mut self.traps).clear();
        self.run_program(&program, &words)?;
        Err(Leave::Exit)
    }

    /// Prints a line of `set -x`.
    pub(crate) fn trace(&mut self, line: &[u8]) {
        let prompt = self.get(b"PS4").map_or_else(|| b"+ ".to_vec(), <[u8]>::to_vec);
        let mut out = Vec::new();
        if let Some(first) = prompt.first() {
            out.resize(self.subshell as usize, *first);
        }
        let prompt = self.prompt(&prompt);
        out.extend_from_slice(&prompt);
        out.extend_from_slice(line);
        out.push(b'\n');
        let target = self.get(b"BASH_XTRACEFD").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        match target.and_then(|fd: i32| self.descriptor(fd)) {
            Some(handle) => {
                let _ = handle.write_all(&out, &self.budget);
            }
            None => self.print_error(&out),
        }
    }

    /// The variables in a prompt.
    fn prompt(&mut self, text: &[u8]) -> Vec<u8> {
        if !text.iter().any(|b| b"$`\\".contains(b)) {
            return text.to_vec();
        }
        let (trace, status, line) = (self.options.xtrace, self.status, self.line);
        Arc::make_mut(&mut self.options).xtrace = false;
        let expanded = self.expand_text(text).unwrap_or_else(|_| text.to_vec());
        Arc::make_mut(&mut self.options).xtrace = trace;
        self.status = status;
        self.line = line;
        expanded
    }

    /// Expands a text as if it stood between double quotes.
    pub(crate) fn expand_text(&mut self, text: &[u8]) -> Result<Vec<u8>, Leave> {
        let parts = super::syntax::Parser::new(text, self.floor).at_line(self.line).text_parts();
        match parts {
            Ok(word) => self.heredoc(&word),
            Err(_) => Ok(text.to_vec()),
        }
    }

    fn trace_words(&mut self, simple: &Simple, words: &[Expanded<'_>]) {
        for assignment in &simple.assignments {
            if let Assigned::Word(word) = &assignment.value
                && let Ok(value) = self.assigned(word)
            {
                let shown = builtin::escape::traced(&value);
                self.trace(&[&assignment.name[..], b"=", &shown].concat());
            }
        }
        let mut line = Vec::new();
        for (n, word) in words.iter().enumerate() {
            if n > 0 {
                line.push(b' ');
            }
            match word {
                Expanded::Field(field) => line.extend(builtin::escape::traced(field)),
                Expanded::Assignment(assignment) => {
                    line.extend_from_slice(&assignment.name);
                    line.extend_from_slice(if assignment.append { b"+=" } else { b"=" });
                    match &assignment.value {
                        Assigned::Word(word) => {
                            let value = self.assigned(word).unwrap_or_default();
                            line.extend(builtin::escape::traced(&value));
                        }
                        Assigned::Array(_) => line.extend_from_slice(b"()"),
                    }
                }
            }
        }
        self.trace(&line);
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
