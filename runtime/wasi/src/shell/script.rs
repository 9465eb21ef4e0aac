//! A script's text: read command by command and run, to the trap `EXIT`.

use super::state::{Leave, Run, Shell};
use super::syntax::{Aliases, Parser, SyntaxError};
use std::sync::Arc;

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

    pub(super) fn script_held(&mut self, text: &[u8], first_line: u32, complaint: &str) -> Run {
        self.deeper()?;
        let aliases = Aliases::default();
        let mut parser = Parser::new(text, self.floor).at_line(first_line).with_aliases(&aliases);
        loop {
            // Both count from the next command on.
            parser.extglob = self.shopt("extglob");
            aliases.set(if self.shopt("expand_aliases") { self.aliases.clone() } else { Arc::default() });
            let before = parser.line();
            let read = parser.complete_command();
            for unended in parser.take_unended() {
                let origin = String::from_utf8_lossy(&self.origin).into_owned();
                let delimiter = String::from_utf8_lossy(&unended.delimiter).into_owned();
                let message = format!(
                    "{origin}: {}warning: here-document at line {} delimited by end-of-file (wanted `{delimiter}')\n",
                    if self.is_interactive() { String::new() } else { format!("line {}: ", unended.end) },
                    unended.line
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
                        Err(Leave::Discard) if self.goes_on() => {}
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

    /// An error in an expansion ends the line; with `set -e` it ends the shell, and on a terminal all that was typed.
    fn goes_on(&self) -> bool {
        !self.options.errexit && !self.is_interactive()
    }

    pub(super) fn syntax_error(
        &mut self,
        error: &SyntaxError,
        complaint: &str,
        text: &[u8],
        first_line: u32,
    ) {
        let origin = String::from_utf8_lossy(&self.origin).into_owned();
        if self.is_interactive() && complaint.is_empty() {
            self.print_error(&error.line(&origin));
            self.status = 2;
            return;
        }
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
}
