//! A shell on a terminal: it reads line by line, outlives Ctrl-C, and tells of its jobs.

use super::execute::SIGINT;
use super::run::Ended;
use super::state::{Leave, Run, Shell};
use crate::engine::budget::{Budget, Stop};
use std::sync::{Arc, Mutex, PoisonError};

/// What Ctrl-C ends: the budget of what runs in the foreground.
#[derive(Clone, Debug)]
pub(crate) struct Foreground(Arc<Mutex<Budget>>);

impl Foreground {
    pub(crate) fn new(budget: Budget) -> Foreground {
        Foreground(Arc::new(Mutex::new(budget)))
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stop(Stop::Interrupted);
    }
}

/// How a line ended.
#[derive(Debug)]
pub(crate) enum Line {
    /// The shell waits for the next.
    Done,
    /// Ctrl-C ended it.
    Interrupted,
    /// The shell itself has ended.
    Gone(Ended),
}

impl Shell {
    /// Makes this a shell on a terminal.
    pub(crate) fn be_interactive(&mut self) -> Foreground {
        let foreground = Foreground::new(self.budget.clone());
        self.foreground = Some(foreground.clone());
        self.is_command = false;
        Arc::make_mut(&mut self.options).shopt.insert("expand_aliases");
        foreground
    }

    pub(crate) fn is_interactive(&self) -> bool {
        self.foreground.is_some()
    }

    /// Runs what was typed.
    pub(crate) fn line(&mut self, text: &[u8]) -> Line {
        self.begin_foreground();
        let status = self.status;
        let ended = self.script(text, 1, "");
        if text.trim_ascii().is_empty() {
            self.status = status;
        }
        let line = match ended {
            Ok(()) | Err(Leave::Break(_) | Leave::Continue(_) | Leave::Return | Leave::Discard) => Line::Done,
            Err(Leave::Killed(SIGINT)) => {
                self.status = 128 + SIGINT;
                self.print_error(b"\n");
                Line::Interrupted
            }
            Err(leave @ (Leave::Exit | Leave::Killed(_))) => {
                let signal = if let Leave::Killed(signal) = leave { Some(signal) } else { None };
                return Line::Gone(Ended { status: self.finish(Err(leave)), signal });
            }
        };
        self.tell_of_jobs();
        line
    }

    /// What runs in the foreground gets a budget that can be ended alone.
    fn begin_foreground(&mut self) {
        self.budget = self.around.child(None);
        if let Some(foreground) = &self.foreground {
            *foreground.0.lock().unwrap_or_else(PoisonError::into_inner) = self.budget.clone();
        }
    }

    /// Whether a Ctrl-C has a trap here.
    pub(super) fn survives_interrupt(&self) -> bool {
        self.is_interactive()
            && self.traps.contains_key(&b"INT"[..])
            && self.budget.stopped() == Some(Stop::Interrupted)
    }

    /// Runs the trap of Ctrl-C, and goes on.
    pub(super) fn interrupted(&mut self) -> Run {
        if self.subshell == 0 {
            self.begin_foreground();
        } else {
            self.budget = self.around.child(None);
        }
        self.status = 128 + SIGINT;
        let action = self.traps.get(&b"INT"[..]).cloned().unwrap_or_default();
        let (line, status) = (self.line, self.status);
        self.script(&action, line, " trap:")?;
        (self.line, self.status) = (line, status);
        Ok(())
    }

    /// Names the jobs that ended meanwhile.
    fn tell_of_jobs(&mut self) {
        let text = crate::builtin::jobs::ended_jobs(self);
        self.print_error(&text);
    }
}
