//! Compound commands: conditions, loops, `case` and `select`.

use super::state::{Leave, Run, Shell};
use super::syntax::{Arm, ArmEnd, List, What, Word};

impl Shell {
    pub(super) fn compound(&mut self, what: &What) -> Run {
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
                self.trap_debug()?;
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
                self.trap_debug()?;
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

    /// Whether a condition's status is 0.
    pub(super) fn holds(&mut self, condition: &List) -> Result<bool, Leave> {
        self.forgiving += 1;
        let done = self.list(condition);
        self.forgiving -= 1;
        done?;
        Ok(self.status == 0)
    }

    /// What leaving a loop's body means to the loop: `None`, the next round; else how it ends.
    pub(super) fn loop_left(&mut self, leave: Leave) -> Option<Run> {
        match leave {
            Leave::Break(1) => Some(Ok(())),
            Leave::Break(n) => Some(Err(Leave::Break(n - 1))),
            Leave::Continue(1) => None,
            Leave::Continue(n) => Some(Err(Leave::Continue(n - 1))),
            other => Some(Err(other)),
        }
    }

    /// Runs a loop's body; true to go on.
    pub(super) fn round(&mut self, body: &List) -> Result<bool, Leave> {
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

    pub(super) fn for_loop(&mut self, name: &[u8], values: Option<&[Word]>, body: &List) -> Run {
        if !super::syntax::is_name(name) {
            self.complain_bytes(&[b"`", name, b"': not a valid identifier"].concat());
            self.status = 1;
            return self.failed();
        }
        let (line, own) = (self.line, self.current.clone());
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
            self.current.clone_from(&own);
            done = match self.trap_debug().and_then(|()| self.set(name, value, false)) {
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

    pub(super) fn counting_for(&mut self, parts: &[Word; 3], body: &List) -> Run {
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

    pub(super) fn select(&mut self, name: &[u8], values: Option<&[Word]>, body: &List) -> Run {
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

    pub(super) fn case(&mut self, subject: &Word, arms: &[Arm]) -> Run {
        self.trap_debug()?;
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
}
