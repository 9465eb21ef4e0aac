//! Running: lists, pipelines and compound commands.

use super::job::{Job, Waiter};
use super::state::{Defined, Leave, Run, Shell};
use super::syntax::{
    AndOr, Arm, ArmEnd, Command, Function, List, Parser, Pipeline, SyntaxError, Then, What, Word,
};
use crate::fs::pipe;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

/// Most bytes of one script.
const MAX_SCRIPT: usize = 64 << 20;
/// Memory that a script takes while it runs, for each byte of its text.
const HELD_PER_BYTE: i64 = 32;

impl Shell {
    /// Runs a script's text, command by command, as it is read.
    pub(crate) fn script(&mut self, text: &[u8], first_line: u32, complaint: &str) -> Run {
        if text.len() > MAX_SCRIPT {
            return Err(self.out_of_memory(text.len()));
        }
        // Each `eval` in an `eval` holds its text, its words and their fields.
        let cost = (text.len() as i64).saturating_mul(HELD_PER_BYTE);
        if !self.memory.change(cost) {
            return Err(self.out_of_memory(text.len()));
        }
        let done = self.script_held(text, first_line, complaint);
        let _ = self.memory.change(-cost);
        done
    }

    fn script_held(&mut self, text: &[u8], first_line: u32, complaint: &str) -> Run {
        self.deeper()?;
        let mut parser = Parser::new(text, self.floor).at_line(first_line);
        loop {
            parser.extglob = self.shopt("extglob");
            let before = parser.line();
            let read = parser.complete_command();
            for unended in parser.take_unended() {
                let origin = String::from_utf8_lossy(&self.origin).into_owned();
                let delimiter = String::from_utf8_lossy(&unended.delimiter).into_owned();
                let message = format!(
                    "{origin}: line {}: warning: here-document at line {} delimited by end-of-file (wanted `{delimiter}')\n",
                    unended.end, unended.line
                );
                self.print_error(message.as_bytes());
            }
            match read {
                Ok(None) => return Ok(()),
                Ok(Some(list)) => {
                    if self.options.verbose {
                        let lines = text.split_inclusive(|b| *b == b'\n');
                        let skip = before.saturating_sub(first_line) as usize;
                        let count = parser.line().saturating_sub(before).max(1) as usize;
                        let shown: Vec<u8> = lines.skip(skip).take(count).flatten().copied().collect();
                        self.print_error(&shown);
                    }
                    match self.list(&list) {
                        Ok(()) => {}
                        // An error in an expansion ends what was read, not the script.
                        Err(Leave::Discard) if self.is_interactive_line() => {}
                        Err(leave) => return Err(leave),
                    }
                }
                Err(error) => {
                    self.syntax_error(&error, complaint, text, first_line);
                    return Ok(());
                }
            }
        }
    }

    /// An error in an expansion ends the line; with `set -e` it ends the shell.
    fn is_interactive_line(&self) -> bool {
        !self.options.errexit
    }

    fn syntax_error(&mut self, error: &SyntaxError, complaint: &str, text: &[u8], first_line: u32) {
        let origin = String::from_utf8_lossy(&self.origin).into_owned();
        let origin = format!("{origin}:{complaint}");
        let padded: Vec<u8>;
        let shown = if first_line > 1 {
            padded = [&vec![b'\n'; first_line as usize - 1][..], text].concat();
            &padded
        } else {
            text
        };
        let lines = error.lines(&origin, shown);
        self.print_error(&lines);
        self.status = 2;
    }

    /// Runs something as a whole shell: its exit trap too. The status.
    pub(crate) fn run_to_end(&mut self, run: impl FnOnce(&mut Shell) -> Run) -> i32 {
        let ended = run(self);
        self.finish(ended)
    }

    /// The end of a shell: the trap `EXIT`, and the status.
    pub(crate) fn finish(&mut self, ended: Run) -> i32 {
        if let Err(Leave::Killed(signal)) = ended {
            return 128 + signal;
        }
        if let Some(action) = self.traps.get(&b"EXIT"[..]).cloned() {
            Arc::make_mut(&mut self.traps).remove(&b"EXIT"[..]);
            if !action.is_empty() {
                let status = self.status;
                match self.script(&action, 1, " trap:") {
                    Err(Leave::Exit) => {}
                    Err(Leave::Killed(signal)) => return 128 + signal,
                    _ => self.status = status,
                }
            }
        }
        self.status
    }

    /// Runs the commands of a list.
    pub(crate) fn list(&mut self, list: &List) -> Run {
        for item in &list.0 {
            if item.background {
                self.background(&item.and_or)?;
            } else {
                self.and_or(&item.and_or)?;
            }
        }
        Ok(())
    }

    fn and_or(&mut self, list: &AndOr) -> Run {
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

    /// Begins `… &`.
    fn background(&mut self, list: &Arc<AndOr>) -> Run {
        self.check()?;
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let mut sub = self.fork();
        let pid = self.next_pid();
        sub.pid = pid;
        let signal = Arc::new(AtomicI32::new(0));
        sub.signal = signal.clone();
        let budget = self.budget.child(None);
        sub.budget = budget.clone();
        sub.memory = super::memory::Account::new(&budget);
        // Without job control, a job in the background reads nothing unless it is told to.
        Arc::make_mut(&mut sub.descriptors).insert(0, crate::fs::Handle::null());
        let waiter = Waiter::default();
        let done = super::job::Finish(waiter.clone());
        let own = list.clone();
        let begun = self.world.crew.start(move || {
            sub.place_on_stack();
            let status = sub.run_to_end(|shell| shell.and_or(&own));
            let killed = sub.signal.load(std::sync::atomic::Ordering::Relaxed);
            drop(sub);
            drop(running);
            done.0.finish(if killed != 0 { 128 + killed } else { status });
        });
        if begun.is_err() {
            return Err(self.no_fork());
        }
        let number = self.jobs.next_number();
        let text = super::print::and_or(list);
        self.jobs.0.push(Job { number, pid, text, waiter, signal, budget, disowned: false });
        self.last_background = Some(pid);
        self.status = 0;
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
            let done = super::job::Finish(waiter.clone());
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

    fn stage(&mut self, command: &Command) -> Run {
        self.command(command)
    }

    /// Runs a command.
    pub(crate) fn command(&mut self, command: &Command) -> Run {
        self.check()?;
        self.deeper()?;
        self.line = command.line;
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

    fn compound(&mut self, what: &What) -> Run {
        match what {
            What::Simple(_) | What::Function(_) => Ok(()),
            What::Brace(list) => self.list(list),
            What::Subshell(list) => self.subshell(list),
            What::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.holds(condition)? {
                        return self.list(body);
                    }
                }
                match otherwise {
                    Some(body) => self.list(body),
                    None => {
                        self.status = 0;
                        Ok(())
                    }
                }
            }
            What::For { name, values, body } => self.for_loop(name, values.as_deref(), body),
            What::Select { name, values, body } => self.select(name, values.as_deref(), body),
            What::CountingFor { parts, body } => self.counting_for(parts, body),
            What::While { until, condition, body } => {
                let mut status = 0;
                self.loops += 1;
                let done = loop {
                    if let Err(leave) = self.check() {
                        break Err(leave);
                    }
                    match self.holds(condition) {
                        Ok(holds) if holds != *until => {}
                        Ok(_) => break Ok(()),
                        Err(leave) => match self.loop_left(leave) {
                            Some(end) => {
                                status = 0;
                                break end;
                            }
                            None => continue,
                        },
                    }
                    let done = self.list(body);
                    status = self.status;
                    if let Err(leave) = done
                        && let Some(end) = self.loop_left(leave)
                    {
                        status = self.status;
                        break end;
                    }
                };
                self.loops -= 1;
                self.status = if done.is_ok() { status } else { self.status };
                done
            }
            What::Case { subject, arms } => self.case(subject, arms),
            What::Arithmetic(word) => {
                if self.options.xtrace {
                    self.trace(&[b"(( ", &word.text[..], b" ))"].concat());
                }
                let text = self.heredoc(word)?;
                let value = match self.evaluate(&text, b"((") {
                    Err(Leave::Discard) => {
                        self.status = 1;
                        return self.failed();
                    }
                    value => value?,
                };
                self.status = i32::from(value == 0);
                self.failed()
            }
            What::Test(test) => {
                self.status = match self.conditional(test) {
                    Ok(holds) => i32::from(!holds),
                    Err(Leave::Discard) => self.status.max(1),
                    Err(leave) => return Err(leave),
                };
                self.failed()
            }
            What::Coprocess { name, body } => self.coprocess(name, body),
        }
    }

    fn subshell(&mut self, list: &List) -> Run {
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

    /// Whether a condition's status is 0.
    fn holds(&mut self, condition: &List) -> Result<bool, Leave> {
        self.forgiving += 1;
        let done = self.list(condition);
        self.forgiving -= 1;
        done?;
        Ok(self.status == 0)
    }

    /// What leaving a loop's body means to the loop: `None`, the next round; else how it ends.
    fn loop_left(&mut self, leave: Leave) -> Option<Run> {
        match leave {
            Leave::Break(1) => Some(Ok(())),
            Leave::Break(n) => Some(Err(Leave::Break(n - 1))),
            Leave::Continue(1) => None,
            Leave::Continue(n) => Some(Err(Leave::Continue(n - 1))),
            other => Some(Err(other)),
        }
    }

    /// Runs a loop's body; true to go on.
    fn round(&mut self, body: &List) -> Result<bool, Leave> {
        self.check()?;
        match self.list(body) {
            Ok(()) => Ok(true),
            Err(leave) => match self.loop_left(leave) {
                None => Ok(true),
                Some(Ok(())) => Ok(false),
                Some(Err(leave)) => Err(leave),
            },
        }
    }

    fn for_loop(&mut self, name: &[u8], values: Option<&[Word]>, body: &List) -> Run {
        if !super::syntax::is_name(name) {
            self.complain_bytes(&[b"`", name, b"': not a valid identifier"].concat());
            self.status = 1;
            return self.failed();
        }
        let line = self.line;
        let mut head = [b"for ", name].concat();
        if let Some(words) = values {
            head.extend_from_slice(b" in");
            for word in words {
                head.push(b' ');
                head.extend_from_slice(&word.text);
            }
        }
        let values = match values {
            Some(words) => self.words(words)?,
            None => self.arguments.to_vec(),
        };
        self.status = 0;
        self.loops += 1;
        let mut done = Ok(());
        for value in values {
            if self.options.xtrace {
                self.line = line;
                self.trace(&head);
            }
            done = match self.set(name, value, false) {
                Err(leave) => Err(leave),
                Ok(()) => match self.round(body) {
                    Ok(true) => continue,
                    Ok(false) => Ok(()),
                    Err(leave) => Err(leave),
                },
            };
            break;
        }
        self.loops -= 1;
        done
    }

    fn counting_for(&mut self, parts: &[Word; 3], body: &List) -> Run {
        let evaluate = |shell: &mut Shell, word: &Word, empty: i64| -> Result<i64, Leave> {
            let text = shell.heredoc(word)?;
            if text.trim_ascii().is_empty() {
                return Ok(empty);
            }
            shell.evaluate(&text, b"((")
        };
        self.status = 0;
        evaluate(self, &parts[0], 0)?;
        self.loops += 1;
        let done = loop {
            match evaluate(self, &parts[1], 1) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(leave) => break Err(leave),
            }
            match self.round(body) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(leave) => break Err(leave),
            }
            if let Err(leave) = evaluate(self, &parts[2], 0) {
                break Err(leave);
            }
        };
        self.loops -= 1;
        done
    }

    fn select(&mut self, name: &[u8], values: Option<&[Word]>, body: &List) -> Run {
        let values = match values {
            Some(words) => self.words(words)?,
            None => self.arguments.to_vec(),
        };
        if values.is_empty() {
            self.status = 0;
            return Ok(());
        }
        let mut menu = Vec::new();
        let width = values.len().to_string().len();
        for (n, value) in values.iter().enumerate() {
            menu.extend_from_slice(format!("{:>width$}) ", n + 1).as_bytes());
            menu.extend_from_slice(value);
            menu.push(b'\n');
        }
        self.loops += 1;
        self.print_error(&menu);
        let done = loop {
            let prompt = self.get(b"PS3").map_or_else(|| b"#? ".to_vec(), <[u8]>::to_vec);
            self.print_error(&prompt);
            let Some(input) = self.descriptor(0) else { break Ok(()) };
            let (line, ended) = match crate::builtin::read::line(self, &input) {
                Ok(read) => read,
                Err(leave) => break Err(leave),
            };
            if ended && line.is_empty() {
                let _ = self.print(b"\n");
                self.status = 1;
                break Ok(());
            }
            let reply = line.trim_ascii().to_vec();
            if reply.is_empty() {
                self.print_error(&menu);
                continue;
            }
            let at = std::str::from_utf8(&reply).ok().and_then(|s| s.parse::<usize>().ok());
            let chosen = at.and_then(|n| values.get(n.checked_sub(1)?)).cloned().unwrap_or_default();
            self.set_own(b"REPLY", reply);
            if let Err(leave) = self.set(name, chosen, false) {
                break Err(leave);
            }
            match self.round(body) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(leave) => break Err(leave),
            }
        };
        self.loops -= 1;
        done
    }

    fn case(&mut self, subject: &Word, arms: &[Arm]) -> Run {
        let text = self.text(subject)?;
        if self.options.xtrace {
            self.trace(&[b"case ", &subject.text[..], b" in"].concat());
        }
        let rules = self.rules();
        self.status = 0;
        let mut falls = false;
        for arm in arms {
            let mut hit = falls;
            for pattern in &arm.patterns {
                if hit {
                    break;
                }
                let pattern = self.pattern(pattern)?;
                hit = super::pattern::matches(&pattern, &text, rules);
            }
            falls = false;
            if !hit {
                continue;
            }
            self.list(&arm.body)?;
            match arm.end {
                ArmEnd::Leave => return Ok(()),
                ArmEnd::Fall => falls = true,
                ArmEnd::Try => {}
            }
        }
        Ok(())
    }

    fn coprocess(&mut self, name: &[u8], body: &Arc<Command>) -> Run {
        let Ok(running) = self.budget.begin() else { return Err(self.no_fork()) };
        let (their_in, own_out) = pipe();
        let (own_in, their_out) = pipe();
        let mut sub = self.fork();
        let pid = self.next_pid();
        sub.pid = pid;
        let signal = Arc::new(AtomicI32::new(0));
        sub.signal = signal.clone();
        let budget = self.budget.child(None);
        sub.budget = budget.clone();
        let descriptors = Arc::make_mut(&mut sub.descriptors);
        descriptors.insert(0, their_in);
        descriptors.insert(1, their_out);
        let waiter = Waiter::default();
        let done = super::job::Finish(waiter.clone());
        let own = body.clone();
        let begun = self.world.crew.start(move || {
            sub.place_on_stack();
            let status = sub.run_to_end(|shell| shell.command(&own));
            drop(sub);
            drop(running);
            done.0.finish(status);
        });
        if begun.is_err() {
            return Err(self.no_fork());
        }
        let mut free = 63;
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
        self.set_own(&[name, b"_PID"].concat(), pid.to_string());
        let number = self.jobs.next_number();
        let text = [b"coproc ", name].concat();
        self.jobs.0.push(Job { number, pid, text, waiter, signal, budget, disowned: false });
        self.last_background = Some(pid);
        self.status = 0;
        Ok(())
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
