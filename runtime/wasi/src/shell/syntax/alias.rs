//! Aliases: where a command begins, a word that is one is replaced by its text before the grammar sees it.

use super::error::SyntaxError;
use super::lex::Token;
use super::parse::Parser;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of the texts that the aliases of one script make.
const MOST: usize = 16 << 20;

/// The aliases that a reader knows, and the texts that they make.
#[derive(Default)]
pub(crate) struct Aliases {
    known: RefCell<Arc<BTreeMap<Vec<u8>, Vec<u8>>>>,
    texts: Texts,
}

/// Texts that stay where they are; the last one is put behind all others.
#[derive(Default)]
struct Texts(OnceCell<Box<(Vec<u8>, Texts)>>);

/// What of the reader's text came out of aliases.
#[derive(Default)]
pub(super) struct Expanding {
    /// An alias, and where its text ends: it is not expanded in itself.
    within: Vec<(Vec<u8>, usize)>,
    /// A word that begins before here follows an alias that ends with a blank.
    next_until: usize,
    bytes: usize,
}

impl Aliases {
    /// Knows these from now on.
    pub(crate) fn set(&self, known: Arc<BTreeMap<Vec<u8>, Vec<u8>>>) {
        *self.known.borrow_mut() = known;
    }
}

impl Texts {
    fn keep(&self, text: Vec<u8>) -> &[u8] {
        let mut last = self;
        while let Some(next) = last.0.get() {
            last = &next.1;
        }
        &last.0.get_or_init(|| Box::new((text, Texts::default()))).0
    }
}

impl<'a> Parser<'a> {
    /// Expands these aliases.
    pub(crate) fn with_aliases(mut self, aliases: &'a Aliases) -> Parser<'a> {
        self.aliases = Some(aliases);
        self
    }

    /// Replaces the word that comes next by the text of its alias, as long as it has one.
    pub(super) fn expand_alias(&mut self, begins_command: bool) -> Result<(), SyntaxError> {
        let Some(aliases) = self.aliases else { return Ok(()) };
        let known = aliases.known.borrow().clone();
        if known.is_empty() {
            return Ok(());
        }
        loop {
            let Token::Word(word) = self.peek()? else { return Ok(()) };
            let name = word.text.clone();
            if word.plain() != Some(&name[..])
                || !begins_command && self.token_start > self.expanding.next_until
            {
                return Ok(());
            }
            let (start, end) = (self.token_start, self.at);
            self.expanding.within.retain(|(_, until)| start < *until);
            let own = self.expanding.within.iter().any(|(inner, _)| *inner == name);
            let Some(value) = known.get(&name).filter(|_| !own) else { return Ok(()) };
            let text = [&self.text[..start], value, &self.text[end..]].concat();
            self.expanding.bytes = self.expanding.bytes.saturating_add(text.len());
            if self.expanding.bytes > MOST {
                let message = "aliases are expanded too often".to_string();
                return Err(SyntaxError::Other { message, line: self.token_line, near: None });
            }
            let longer = |at: usize| at + value.len() - (end - start);
            for (_, until) in &mut self.expanding.within {
                *until = longer(*until);
            }
            self.expanding.within.push((name, start + value.len()));
            if value.last().is_some_and(u8::is_ascii_whitespace) {
                self.expanding.next_until = start + value.len() + 1;
            }
            self.text = aliases.texts.keep(text);
            (self.at, self.line, self.next) = (start, self.token_line, None);
            // What was read further on lies elsewhere now.
            self.failed.retain(|at| *at < start);
            self.read.retain(|at, (until, ..)| *at < start && *until <= start);
        }
    }
}
