//! What a substitution runs, and what it printed.

use super::job::Waiter;
use super::state::{Leave, Shell};
use super::syntax::{Backquote, List, Parser, Script};
use crate::fs::{Capture, Handle, pipe};
use std::sync::Arc;

/// Descriptors of process substitutions count down from here, as in bash.
const FIRST_DESCRIPTOR: i32 = 63;

impl Shell {
    /// Runs `$(…)`: what it printed, without the line feeds at the end.
    pub(super) fn substitute(&mut self, list: &List) -> Result<Vec<u8>, Leave> {
        self.check()?;
        self.deeper()?;
        if let Some(bytes) = self.file_content(list)? {
            return Ok(bytes);
        }
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let capture = Capture::within(&self.budget);
        let mut sub = self.fork();
        Arc::make_mut(&mut sub.descriptors).insert(1, capture.handle());
        let errexit = sub.options.errexit && self.shopt("inherit_errexit");
        if sub.options.errexit != errexit {
            Arc::make_mut(&mut sub.options).errexit = errexit;
        }
        let status = sub.run_to_end(|shell| shell.list(list));
        sub.wait_for_output();
        drop(sub);
        drop(running);
        self.check()?;
        let bytes = capture.take();
        if capture.omitted() > 0 {
            return Err(self.out_of_memory(bytes.len()));
        }
        drop(capture);
        self.captured(bytes, status)
    }

    /// Runs `` `…` ``.
    pub(super) fn backquote(&mut self, script: &Backquote) -> Result<Vec<u8>, Leave> {
        self.deeper()?;
        let mut parser = Parser::new(&script.text, self.floor).at_line(script.line);
        parser.extglob = self.shopt("extglob");
        let mut lists = Vec::new();
        loop {
            match parser.complete_command() {
                Ok(Some(list)) => lists.push(list),
                Ok(None) => break,
                Err(error) => {
                    let origin = format!("{}: command substitution:", String::from_utf8_lossy(&self.origin));
                    let lines = error.lines(&origin, &script.text);
                    self.print_error(&lines);
                    self.substituted = Some(1);
                    return Ok(Vec::new());
                }
            }
        }
        let list = List(lists.into_iter().flat_map(|l| l.0).collect());
        self.substitute(&list)
    }

    fn captured(&mut self, mut bytes: Vec<u8>, status: i32) -> Result<Vec<u8>, Leave> {
        self.room(bytes.len())?;
        if bytes.contains(&0) {
            bytes.retain(|b| *b != 0);
            self.complain("warning: command substitution: ignored null byte in input");
        }
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        self.substituted = Some(status);
        self.status = status;
        Ok(bytes)
    }

    /// `$(< file)`.
    fn file_content(&mut self, list: &List) -> Result<Option<Vec<u8>>, Leave> {
        use super::syntax::{How, What};
        let [item] = list.0.as_slice() else { return Ok(None) };
        if item.background || !item.and_or.rest.is_empty() || item.and_or.first.negated {
            return Ok(None);
        }
        let [command] = item.and_or.first.commands.as_slice() else { return Ok(None) };
        let What::Simple(simple) = &command.what else { return Ok(None) };
        if !simple.words.is_empty() || !simple.assignments.is_empty() {
            return Ok(None);
        }
        let [redirect] = command.redirects.as_slice() else { return Ok(None) };
        let How::Read(_) = &redirect.how else { return Ok(None) };
        let saved = self.descriptors.clone();
        let opened = self.redirect_all(&command.redirects);
        let input = self.descriptor(0);
        self.descriptors = saved;
        match (opened, input) {
            (Ok(()), Some(input)) => {
                let bytes = self.read_all(&input)?;
                self.captured(bytes, 0).map(Some)
            }
            (Err(Leave::Discard), _) | (Ok(()), None) => {
                self.substituted = Some(1);
                Ok(Some(Vec::new()))
            }
            (Err(leave), _) => Err(leave),
        }
    }

    /// All that is left to read.
    pub(crate) fn read_all(&mut self, input: &Handle) -> Result<Vec<u8>, Leave> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.check()?;
            match input.read(&mut buffer, &self.budget) {
                Ok(0) | Err(_) => return Ok(bytes),
                Ok(n) => {
                    bytes.extend_from_slice(&buffer[..n]);
                    if bytes.len() % (1 << 20) < n {
                        self.room(bytes.len())?;
                    }
                }
            }
        }
    }

    /// Begins `<(…)` or `>(…)`: the path of its pipe.
    pub(super) fn process(&mut self, reads: bool, script: &Arc<Script>) -> Result<Vec<u8>, Leave> {
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let (reader, writer) = pipe();
        let mut sub = self.fork();
        let pid = self.next_pid();
        sub.pid = pid;
        let (own, theirs, fd) = if reads { (reader, writer, 1) } else { (writer, reader, 0) };
        Arc::make_mut(&mut sub.descriptors).insert(fd, theirs);
        let mut number = FIRST_DESCRIPTOR;
        while self.descriptors.contains_key(&number) {
            number -= 1;
        }
        let waiter = Waiter::default();
        let done = super::job::Finish(waiter.clone());
        let script = script.clone();
        let begun = self.world.crew.start(move || {
            sub.place_on_stack();
            let status = sub.run_to_end(|shell| shell.list(&script.list));
            drop(sub);
            drop(running);
            done.0.finish(status);
        });
        if begun.is_err() {
            return Err(self.no_fork());
        }
        Arc::make_mut(&mut self.descriptors).insert(number, own);
        self.last_background = Some(pid);
        self.processes.push((number, waiter));
        Ok(format!("/dev/fd/{number}").into_bytes())
    }

    /// Closes the pipes of process substitutions that a command had; they end by themselves.
    pub(super) fn close_processes(&mut self, before: usize) {
        for (number, waiter) in self.processes.split_off(before) {
            Arc::make_mut(&mut self.descriptors).remove(&number);
            self.jobs.0.push(super::job::Job {
                number: 0,
                pid: 0,
                text: Vec::new(),
                waiter,
                signal: Arc::default(),
                budget: self.budget.clone(),
                disowned: true,
            });
            self.jobs.0.retain(|j| !(j.disowned && j.waiter.status().is_some()));
        }
    }

    /// As bash, when no process can be made.
    pub(super) fn no_fork(&mut self) -> Leave {
        let origin = String::from_utf8_lossy(&self.origin).into_owned();
        self.print_error(format!("{origin}: fork: retry: Resource temporarily unavailable\n").as_bytes());
        self.status = 254;
        Leave::Exit
    }

    /// Waits for jobs that may still print.
    pub(super) fn wait_for_output(&mut self) {
        for job in std::mem::take(&mut self.jobs.0) {
            if !job.disowned {
                job.waiter.wait(&self.budget, &self.signal, None);
            }
        }
    }
}
