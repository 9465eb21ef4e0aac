//! What runs beside the script: jobs in the background, and coprocesses.

use super::job::{Finish, Job, Waiter};
use super::state::{Run, Shell};
use super::syntax::{AndOr, Command};
use crate::fs::{Handle, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The highest descriptor that a coprocess is given.
const HIGHEST: i32 = 63;

impl Shell {
    /// Begins `… &`.
    pub(super) fn background(&mut self, list: &Arc<AndOr>) -> Run {
        self.check()?;
        let text = super::print::and_or(list);
        let own = list.clone();
        // A job in the background reads nothing unless it is told to.
        let number = self.beside(text, &[(0, Handle::null())], move |shell| shell.and_or(&own))?;
        if self.is_interactive() && self.subshell == 0 {
            let pid = self.last_background.unwrap_or_default();
            self.print_error(format!("[{number}] {pid}\n").as_bytes());
        }
        Ok(())
    }

    pub(super) fn coprocess(&mut self, name: &[u8], body: &Arc<Command>) -> Run {
        let (their_in, own_out) = pipe();
        let (own_in, their_out) = pipe();
        let own = body.clone();
        let text = [b"coproc ", name].concat();
        self.beside(text, &[(0, their_in), (1, their_out)], move |shell| shell.command(&own))?;
        let mut free = HIGHEST;
        let mut numbers = Vec::new();
        let descriptors = Arc::make_mut(&mut self.descriptors);
        for handle in [own_in, own_out] {
            while descriptors.contains_key(&free) {
                free -= 1;
            }
            descriptors.insert(free, handle);
            numbers.push(free.to_string().into_bytes());
        }
        self.set_own_array(name, numbers);
        let pid = self.last_background.unwrap_or_default();
        self.set_own(&[name, b"_PID"].concat(), pid.to_string());
        Ok(())
    }

    /// Starts a copy of this shell as a job; the job's number.
    fn beside(
        &mut self,
        text: Vec<u8>,
        descriptors: &[(i32, Handle)],
        work: impl FnOnce(&mut Shell) -> Run + Send + 'static,
    ) -> Result<usize, super::state::Leave> {
        let budget = self.around.child(None);
        let Ok(running) = budget.begin() else { return Err(self.no_fork()) };
        let mut sub = self.fork();
        let pid = self.next_pid();
        sub.pid = pid;
        let signal = Arc::new(AtomicI32::new(0));
        sub.signal = signal.clone();
        (sub.budget, sub.around) = (budget.clone(), budget.clone());
        sub.memory = super::memory::Account::new(&budget);
        Arc::make_mut(&mut sub.descriptors).extend(descriptors.iter().cloned());
        let waiter = Waiter::default();
        let done = Finish(waiter.clone());
        let begun = self.world.crew.start(move || {
            sub.place_on_stack();
            let status = sub.run_to_end(work);
            let killed = sub.signal.load(Ordering::Relaxed);
            drop(sub);
            drop(running);
            done.0.finish(if killed != 0 { 128 + killed } else { status });
        });
        if begun.is_err() {
            return Err(self.no_fork());
        }
        let number = self.jobs.next_number();
        self.jobs.0.push(Job { number, pid, text, waiter, signal, budget, disowned: false });
        self.last_background = Some(pid);
        self.status = 0;
        Ok(number)
    }
}
