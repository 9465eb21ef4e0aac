//! Running: lists, pipelines, subshells and functions.

use super::job::{Finish, Waiter};
use super::state::{Defined, Leave, Run, Shell};
use super::syntax::{AndOr, Command, Function, List, Pipeline, Then, What};
use crate::fs::pipe;
use std::sync::Arc;

/// The signal of Ctrl-C.
pub(super) const SIGINT: i32 = 2;

impl Shell {
    /// Runs the commands of a list.
    pub(crate) fn list(&mut self, list: &List) -> Run {
        for item in &list.0 {
            let done =
                if item.background { self.background(&item.and_or) } else { self.and_or(&item.and_or) };
            match done {
                Err(Leave::Killed(SIGINT)) if self.survives_interrupt() => self.interrupted()?,
                done => done?,
            }
        }
        Ok(())
    }

    pub(super) fn and_or(&mut self, list: &AndOr) -> Run {
        if list.rest.is_empty() {
            return self.pipeline(&list.first);
        }
        self.forgiving += 1;
        let first = self.pipeline(&list.first);
        self.forgiving -= 1;
        first?;
        let last = list.rest.len() - 1;
        for (n, (then, pipeline)) in list.rest.iter().enumerate() {
            if (self.status == 0) != (*then == Then::And) {
                continue;
            }
            if n == last {
                self.pipeline(pipeline)?;
            } else {
                self.forgiving += 1;
                let done = self.pipeline(pipeline);
                self.forgiving -= 1;
                done?;
            }
        }
        Ok(())
    }

    /// Begins to be the shell of this thread.
    pub(crate) fn place_on_stack(&mut self) {
        self.floor = super::stack::floor();
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Run {
        let started = pipeline.timed.map(|_| (std::time::Instant::now(), self.budget.cpu()));
        if pipeline.negated {
            self.forgiving += 1;
        }
        let done = match pipeline.commands.as_slice() {
            [] => {
                self.status = 0;
                Ok(())
            }
            [command] => {
                let done = self.command(command);
                self.pipe_status = Arc::new(vec![self.status]);
                done
            }
            commands => self.stages(commands),
        };
        if pipeline.negated {
            self.forgiving -= 1;
        }
        if let (Some((start, cpu)), Some(posix)) = (started, pipeline.timed) {
            self.print_time(start.elapsed(), self.budget.cpu().saturating_sub(cpu), posix);
        }
        done?;
        if pipeline.negated {
            self.status = i32::from(self.status == 0);
            return Ok(());
        }
        if self.status != 0 && pipeline.commands.len() > 1 {
            return self.failed();
        }
        Ok(())
    }

    fn print_time(&mut self, real: std::time::Duration, cpu: std::time::Duration, posix: bool) {
        let shown = |time: std::time::Duration| {
            let seconds = time.as_secs_f64();
            if posix {
                format!("{seconds:.2}")
            } else {
                format!("{}m{:.3}s", (seconds / 60.0) as u64, seconds % 60.0)
            }
        };
        let none = shown(std::time::Duration::ZERO);
        let text = if posix {
            format!("real {}\nuser {}\nsys {none}\n", shown(real), shown(cpu))
        } else {
            format!("\nreal\t{}\nuser\t{}\nsys\t{none}\n", shown(real), shown(cpu))
        };
        self.print_error(text.as_bytes());
    }

    /// What a command's failure means: the trap `ERR`, and the end with `set -e`.
    pub(super) fn failed(&mut self) -> Run {
        if self.status == 0 || self.forgiving > 0 {
            return Ok(());
        }
        if !self.in_trap
            && let Some(action) = self.traps.get(&b"ERR"[..]).cloned()
            && (!self.variables.in_function() || self.options.errtrace)
        {
            let status = self.status;
            self.in_trap = true;
            let line = self.line;
            let done = self.script(&action, line, " trap:");
            self.line = line;
            self.in_trap = false;
            done?;
            self.status = status;
        }
        if self.options.errexit { Err(Leave::Exit) } else { Ok(()) }
    }

    /// A pipeline of several commands: each but the last on a thread of its own.
    fn stages(&mut self, commands: &[Arc<Command>]) -> Run {
        self.check()?;
        let mut waiters = Vec::new();
        let mut input = None;
        let (last, first) = commands.split_last().expect("a pipeline of several commands has a last one");
        for command in first {
            let Ok(running) = self.budget.begin() else {
                drop(input);
                return Err(self.no_fork());
            };
            let (reader, writer) = pipe();
            let mut sub = self.fork();
            sub.pid = self.next_pid();
            sub.signal = self.signal.clone();
            let descriptors = Arc::make_mut(&mut sub.descriptors);
            descriptors.insert(1, writer);
            if let Some(input) = input.replace(reader) {
                descriptors.insert(0, input);
            }
            let waiter = Waiter::default();
            let done = Finish(waiter.clone());
            let command = command.clone();
            let begun = self.world.crew.start(move || {
                sub.place_on_stack();
                let status = sub.run_to_end(|shell| shell.stage(&command));
                drop(sub);
                drop(running);
                done.0.finish(status);
            });
            if begun.is_err() {
                return Err(self.no_fork());
            }
            waiters.push(waiter);
        }
        if !self.in_trap {
            self.current = Some(last.clone());
        }
        let mut sub = self.fork();
        sub.signal = self.signal.clone();
        let lastpipe = self.shopt("lastpipe");
        if let Some(input) = input {
            Arc::make_mut(&mut sub.descriptors).insert(0, input);
        }
        let mut left = Ok(());
        let own = if lastpipe {
            // The last command is one of this shell.
            std::mem::swap(&mut self.descriptors, &mut sub.descriptors);
            left = self.stage(last);
            std::mem::swap(&mut self.descriptors, &mut sub.descriptors);
            self.status
        } else {
            sub.run_to_end(|shell| shell.stage(last))
        };
        drop(sub);
        let mut statuses: Vec<i32> = waiters.iter().map(Waiter::wait_out).collect();
        statuses.push(own);
        self.check()?;
        left?;
        self.status = match statuses.iter().rev().find(|s| **s != 0) {
            Some(status) if self.options.pipefail => *status,
            _ => own,
        };
        self.pipe_status = Arc::new(statuses);
        Ok(())
    }

    fn stage(&mut self, command: &Arc<Command>) -> Run {
        self.command(command)
    }

    /// Runs a command.
    pub(crate) fn command(&mut self, command: &Arc<Command>) -> Run {
        self.check()?;
        self.deeper()?;
        self.line = command.line;
        if !self.in_trap && !matches!(command.what, What::Brace(_) | What::If { .. } | What::While { .. }) {
            self.current = Some(command.clone());
        }
        if let What::Simple(simple) = &command.what {
            return self.simple(simple, &command.redirects);
        }
        if let What::Function(function) = &command.what {
            return self.define(function);
        }
        if command.redirects.is_empty() {
            return self.compound(&command.what);
        }
        let saved = self.descriptors.clone();
        let before = self.processes.len();
        let done = match self.redirect_all(&command.redirects) {
            Ok(()) => self.compound(&command.what),
            Err(Leave::Discard) => {
                self.status = 1;
                self.failed()
            }
            Err(leave) => Err(leave),
        };
        self.descriptors = saved;
        self.close_processes(before);
        done
    }

    fn define(&mut self, function: &Arc<Function>) -> Run {
        let is_own = self.is_command && self.sourced == 0;
        let origin = if is_own { Arc::new(b"environment".to_vec()) } else { self.origin.clone() };
        let defined = Defined { function: function.clone(), origin };
        Arc::make_mut(&mut self.functions).insert(function.name.clone(), defined);
        self.status = 0;
        Ok(())
    }

    pub(super) fn subshell(&mut self, list: &List) -> Run {
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let mut sub = self.fork();
        sub.signal = self.signal.clone();
        sub.pid = self.next_pid();
        let status = sub.run_to_end(|shell| shell.list(list));
        self.line = sub.line.max(self.line);
        drop(sub);
        drop(running);
        self.check()?;
        self.status = status;
        self.failed()
    }

    /// Runs a function's body.
    pub(super) fn call(&mut self, defined: &Defined, arguments: Vec<Vec<u8>>) -> Run {
        let function = &defined.function;
        self.deeper()?;
        let limit =
            self.get(b"FUNCNEST").and_then(|v| std::str::from_utf8(v).ok()).and_then(|s| s.parse().ok());
        if limit.is_some_and(|limit: usize| limit > 0 && self.calls.len() >= limit) {
            let name = String::from_utf8_lossy(&function.name).into_owned();
            let limit = limit.unwrap_or_default();
            self.complain(&format!("{name}: maximum function nesting level exceeded ({limit})"));
            self.status = 1;
            return Err(Leave::Discard);
        }
        let saved = std::mem::replace(&mut self.arguments, Arc::new(arguments));
        let origin = std::mem::replace(&mut self.origin, defined.origin.clone());
        let line = self.line;
        let loops = std::mem::take(&mut self.loops);
        let options = self.getopts_at;
        Arc::make_mut(&mut self.calls).push(super::state::Call {
            name: function.name.clone(),
            line,
            is_source: false,
        });
        self.variables.enter();
        let done = self.command(&function.body);
        let done = match (done, self.traps.get(&b"RETURN"[..]).cloned()) {
            (Ok(()) | Err(Leave::Return), Some(action)) if self.options.functrace => {
                let status = self.status;
                let ran = self.script(&action, line, " trap:");
                self.status = status;
                ran
            }
            (done, _) => done,
        };
        self.variables.leave();
        Arc::make_mut(&mut self.calls).pop();
        self.arguments = saved;
        self.origin = origin;
        self.loops = loops;
        self.line = line;
        self.getopts_at = options;
        match done {
            Err(Leave::Return) => Ok(()),
            done => done,
        }
    }
}
