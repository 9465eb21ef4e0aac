//! `set -x`: what is shown of a command before it runs.

use super::call::Expanded;
use super::state::{Leave, Shell};
use crate::builtin;
use std::sync::Arc;

impl Shell {
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

    pub(super) fn trace_words(&mut self, words: &[Expanded<'_>]) {
        let mut line = Vec::new();
        for (n, word) in words.iter().enumerate() {
            if n > 0 {
                line.push(b' ');
            }
            match word {
                Expanded::Field(field) => line.extend(builtin::escape::traced(field)),
                Expanded::Assignment(assignment, value) => {
                    line.extend_from_slice(&assignment.name);
                    line.extend_from_slice(if assignment.append { b"+=" } else { b"=" });
                    line.extend(value.as_deref().map_or_else(|| b"()".to_vec(), builtin::escape::traced));
                }
            }
        }
        self.trace(&line);
    }
}
