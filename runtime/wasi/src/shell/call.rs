//! Simple commands: what they are given, and what is done with it.

use super::state::{Leave, Run, Shell};
use super::syntax::{Argument, Assigned, Assignment, Redirect, Simple};
use super::variable::Variable;
use crate::builtin;
use std::sync::Arc;

/// What a word of a command became.
#[derive(Clone, Debug)]
pub(crate) enum Expanded<'a> {
    Field(Vec<u8>),
    /// Behind `declare` and its like; of one that is no array, its value.
    Assignment(&'a Assignment, Option<Vec<u8>>),
}

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

    pub(super) fn trap_debug(&mut self) -> Run {
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
                Argument::Assignment(assignment) => {
                    let value = match &assignment.value {
                        Assigned::Word(word) => Some(self.assigned(word)?),
                        Assigned::Array(_) => None,
                    };
                    out.push(Expanded::Assignment(assignment, value));
                }
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
        if name == b"exec" && self.functions.get(&name).is_none() {
            if self.options.xtrace {
                self.trace_words(&words);
            }
            return self.exec(simple, &words, redirects);
        }
        // Before the redirections: what is said of them is not redirected, and `set -x` tells it first.
        let mut hidden = self.assign_for_command(&simple.assignments)?;
        if self.options.xtrace {
            self.trace_words(&words);
        }
        let saved = self.descriptors.clone();
        if !redirects.is_empty() {
            // The targets are expanded without them.
            hidden.iter_mut().rev().for_each(|hidden| self.exchange(hidden));
            if let Err(leave) = self.redirect_all(redirects) {
                self.descriptors = saved;
                if leave == Leave::Discard {
                    self.status = 1;
                    return self.failed();
                }
                return Err(leave);
            }
            hidden.iter_mut().for_each(|hidden| self.exchange(hidden));
        }
        let last = match words.last() {
            Some(Expanded::Field(text)) => text.clone(),
            Some(Expanded::Assignment(assignment, _)) => assignment.name.clone(),
            None => Vec::new(),
        };
        let done = self.invoke(&name, words, true);
        self.last_argument = Arc::new(last);
        hidden.iter_mut().rev().for_each(|hidden| self.exchange(hidden));
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

    /// Exchanges a variable with what is kept of it.
    fn exchange(&mut self, (name, kept): &mut (Vec<u8>, Option<Variable>)) {
        let now = self.variables.get(name).cloned();
        match std::mem::replace(kept, now) {
            Some(variable) => self.variables.put(name, variable),
            None => self.variables.remove(name),
        }
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
                Expanded::Assignment(assignment, value) => {
                    let operator: &[u8] = if assignment.append { b"+=" } else { b"=" };
                    let value = value.unwrap_or_else(|| b"()".to_vec());
                    let index = match &assignment.index {
                        Some(index) => [&b"["[..], &self.heredoc(index)?, b"]"].concat(),
                        None => Vec::new(),
                    };
                    Ok([&assignment.name[..], &index, operator, &value].concat())
                }
            })
            .collect()
    }

    /// `exec`: redirections stay; a command takes the shell's place.
    fn exec(&mut self, simple: &Simple, words: &[Expanded<'_>], redirects: &[Redirect]) -> Run {
        let saved = self.descriptors.clone();
        match self.redirect_all(redirects) {
            Ok(()) => {}
            Err(Leave::Discard) => {
                self.descriptors = saved;
                self.status = 1;
                return self.failed();
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
}
