//! Simple commands and redirections.

use super::error::SyntaxError;
use super::heredoc::{Pending, unquote};
use super::lex::Token;
use super::parse::Parser;
use super::tree::{Argument, Assigned, Assignment, Command, Descriptor, How, Redirect, Simple, What, Word};
use super::word::split_assignment;
use std::sync::{Arc, OnceLock};

/// Built-ins whose arguments may be assignments.
const DECLARING: [&[u8]; 5] = [b"declare", b"typeset", b"local", b"export", b"readonly"];

type Read<T> = Result<T, SyntaxError>;

impl Redirect {
    /// `2>&1`
    pub(super) fn errors_to_output() -> Redirect {
        Redirect { fd: Descriptor::Number(2), how: How::DuplicateOut(Word::literal(b"1")) }
    }
}

impl Parser<'_> {
    /// A simple command, or a function's definition.
    pub(super) fn simple(&mut self, line: u32, start: usize) -> Read<Command> {
        let mut simple = Simple::default();
        let mut redirects = Vec::new();
        let mut declares = false;
        loop {
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            self.expand_alias(simple.words.is_empty())?;
            match self.peek()? {
                Token::Word(_) => {
                    let Token::Word(mut word) = self.take()? else { continue };
                    if simple.words.is_empty() {
                        if let Some((name, index, append, value)) = split_assignment(&mut word) {
                            let value = Assigned::Word(value);
                            simple.assignments.push(Assignment { name, index, append, value });
                            continue;
                        }
                        declares = word.plain().is_some_and(|w| DECLARING.contains(&w));
                    } else if declares && let Some((name, index, append, value)) = split_assignment(&mut word)
                    {
                        let value = Assigned::Word(value);
                        simple.words.push(Argument::Assignment(Assignment { name, index, append, value }));
                        continue;
                    }
                    // `command export x=…` declares too.
                    if simple.words.len() == 1 && !declares {
                        let wraps = matches!(&simple.words[0], Argument::Word(w)
                            if matches!(w.plain(), Some(b"command" | b"builtin")));
                        declares = wraps && word.plain().is_some_and(|w| DECLARING.contains(&w));
                    }
                    simple.words.push(Argument::Word(word.settled()));
                }
                Token::Array(..) if simple.words.is_empty() || declares => {
                    let Token::Array(assignment, _) = self.take()? else { continue };
                    if simple.words.is_empty() {
                        simple.assignments.push(assignment);
                    } else {
                        simple.words.push(Argument::Assignment(assignment));
                    }
                }
                Token::Array(..) => {
                    return Err(SyntaxError::Unexpected { token: b"(".to_vec(), line: self.token_line });
                }
                Token::Op(b"(")
                    if simple.words.len() == 1 && simple.assignments.is_empty() && redirects.is_empty() =>
                {
                    let Argument::Word(word) = &simple.words[0] else { return Err(self.unexpected()) };
                    let name = word.text.clone();
                    self.take()?;
                    if !self.is_op(b")")? {
                        return Err(self.unexpected());
                    }
                    self.take()?;
                    return self.function_body(name, line, start);
                }
                Token::Op(b"(") => return Err(self.unexpected()),
                _ => break,
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command { line, what: What::Simple(simple), redirects })
    }

    /// A redirection, if one is next.
    pub(super) fn redirect(&mut self) -> Read<Option<Redirect>> {
        let fd = match self.peek()? {
            Token::Number(n) => Descriptor::Number(*n),
            Token::Name(name) => Descriptor::Name(name.clone()),
            Token::Op(op) if op.starts_with(b"<") || op.starts_with(b">") || op.starts_with(b"&>") => {
                Descriptor::Default
            }
            _ => return Ok(None),
        };
        if !matches!(fd, Descriptor::Default) {
            self.take()?;
        }
        let op = match self.take()? {
            Token::Op(op) => op,
            token => {
                self.next = Some(token);
                return Err(self.unexpected());
            }
        };
        let line = self.token_line;
        let target = match self.peek()? {
            Token::Word(_) => match self.take()? {
                Token::Word(word) => word.settled(),
                _ => Word::default(),
            },
            Token::Number(n) => {
                let text = n.to_string();
                self.take()?;
                Word::literal(text.as_bytes())
            }
            _ => return Err(self.unexpected()),
        };
        let how = match op {
            b"<" => How::Read(target),
            b">" => How::Write { target, clobber: false },
            b">|" => How::Write { target, clobber: true },
            b">>" => How::Append(target),
            b"<>" => How::ReadWrite(target),
            b"&>" => How::Both { target, append: false },
            b"&>>" => How::Both { target, append: true },
            b"<&" => How::DuplicateIn(target),
            b">&" => How::DuplicateOut(target),
            b"<<<" => How::HereString(target),
            _ => {
                let (delimiter, quoted) = unquote(&target.text);
                let body = Arc::new(OnceLock::new());
                let strip_tabs = op == b"<<-";
                self.pending.push(Pending { delimiter, quoted, strip_tabs, body: body.clone(), line });
                How::Here(body)
            }
        };
        Ok(Some(Redirect { fd, how }))
    }
}
