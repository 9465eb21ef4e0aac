//! Here-documents: their delimiter, and the lines up to it.

use super::error::SyntaxError;
use super::parse::Parser;
use super::tree::{Part, Word};
use std::sync::{Arc, OnceLock};

/// Most bytes of here-documents of one script; those within others count again.
const MAX_TAKEN: usize = 64 << 20;

/// A here-document whose lines are still to come.
#[derive(Debug)]
pub(super) struct Pending {
    pub delimiter: Vec<u8>,
    pub quoted: bool,
    pub strip_tabs: bool,
    pub body: Arc<OnceLock<Word>>,
    pub line: u32,
}

/// A here-document that the end of the script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unended {
    pub delimiter: Vec<u8>,
    pub line: u32,
    pub end: u32,
}

/// What a delimiter is without its quotes, and whether it had some.
pub(super) fn unquote(text: &[u8]) -> (Vec<u8>, bool) {
    let (mut out, mut quoted, mut at) = (Vec::new(), false, 0);
    let mut within = 0u8;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if within != b'\'' && at + 1 < text.len() => {
                quoted = true;
                at += 1;
                out.push(text[at]);
            }
            b'\'' | b'"' if within == 0 => {
                quoted = true;
                within = byte;
            }
            b'\'' | b'"' if within == byte => within = 0,
            b'$' if within == 0 && matches!(text.get(at + 1), Some(b'\'' | b'"')) => {}
            _ => out.push(byte),
        }
        at += 1;
    }
    (out, quoted)
}

impl Parser<'_> {
    pub(super) fn read_heredocs(&mut self) -> Result<(), SyntaxError> {
        for pending in std::mem::take(&mut self.pending) {
            let start = self.line;
            let body = self.heredoc_text(&pending);
            self.taken += body.len();
            if self.taken > MAX_TAKEN {
                return Err(SyntaxError::Depth { line: start });
            }
            let word = if pending.quoted {
                Word { parts: vec![Part::Quoted(body)], ..Word::default() }
            } else {
                let mut inner = Parser::new(&body, self.floor);
                inner.line = start;
                inner.extglob = self.extglob;
                inner.taken = self.taken;
                let parts = inner.heredoc_parts()?;
                self.taken = inner.taken;
                Word { parts, ..Word::default() }
            };
            let _ = pending.body.set(word);
        }
        Ok(())
    }

    fn heredoc_text(&mut self, pending: &Pending) -> Vec<u8> {
        let mut body = Vec::new();
        let mut continued = false;
        loop {
            if self.at >= self.text.len() {
                self.unended.push(Unended {
                    delimiter: pending.delimiter.clone(),
                    line: pending.line,
                    end: self.line,
                });
                return body;
            }
            let rest = &self.text[self.at..];
            let end = rest.iter().position(|b| *b == b'\n');
            let mut line = &rest[..end.unwrap_or(rest.len())];
            let tabs = line.iter().take_while(|b| pending.strip_tabs && **b == b'\t').count();
            line = &line[if continued { 0 } else { tabs }..];
            self.at += end.map_or(rest.len(), |n| n + 1);
            self.line += u32::from(end.is_some());
            if !continued && line == pending.delimiter {
                return body;
            }
            body.extend_from_slice(line);
            // The last line has a line feed even when the script's has none.
            body.push(b'\n');
            let backslashes = line.iter().rev().take_while(|b| **b == b'\\').count();
            continued = !pending.quoted && backslashes % 2 == 1;
        }
    }
}

impl Parser<'_> {
    /// The whole text as one word, as if it stood between double quotes.
    pub(crate) fn text_parts(mut self) -> Result<Word, SyntaxError> {
        Ok(Word { parts: self.heredoc_parts()?, ..Word::default() })
    }
}
