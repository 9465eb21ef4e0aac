//! The grammar: lists, pipelines and compound commands.

use super::alias::{Aliases, Expanding};
use super::error::SyntaxError;
use super::heredoc::{Pending, Unended};
use super::lex::Token;
use super::tree::{
    AndOr, Arm, ArmEnd, Command, Function, Item, List, Part, Pipeline, Redirect, Then, What, Word,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Words that the grammar knows where a command begins.
const RESERVED: [&[u8]; 15] = [
    b"then", b"do", b"done", b"fi", b"elif", b"else", b"esac", b"}", b"in", b"if", b"for", b"while",
    b"until", b"case", b"{",
];
/// Of these, the ones that cannot begin a command.
const CLOSING: usize = 8;

/// Reads a script.
pub(crate) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) line: u32,
    pub(super) next: Option<Token>,
    pub(super) token_line: u32,
    pub(super) token_start: usize,
    /// Where the last token that was taken ended.
    pub(super) last_end: usize,
    pub(super) pending: Vec<Pending>,
    /// Where an attempt to read arithmetic, a subscript or an expansion failed: none is made twice, so that nesting does
    /// not double the work.
    pub(super) failed: HashSet<usize>,
    /// Attempts that the reader is in, and what was read in them: where it ends, the line there, and the part.
    pub(super) attempts: u32,
    pub(super) dead_ends: u32,
    pub(super) read: HashMap<usize, (usize, u32, Part)>,
    /// Bytes of here-documents that were taken out of the text, one in the other.
    pub(super) taken: usize,
    pub(super) unended: Vec<Unended>,
    /// Whether `@(…)` is a pattern.
    pub(crate) extglob: bool,
    pub(super) aliases: Option<&'a Aliases>,
    pub(super) expanding: Expanding,
    /// The lowest address that the stack may reach.
    pub(super) floor: usize,
}

type Read<T> = Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    /// Reads this text; the stack may grow down to the address `floor`.
    pub(crate) fn new(text: &'a [u8], floor: usize) -> Parser<'a> {
        Parser {
            text,
            at: 0,
            line: 1,
            next: None,
            token_line: 1,
            token_start: 0,
            last_end: 0,
            pending: Vec::new(),
            failed: HashSet::new(),
            attempts: 0,
            dead_ends: 0,
            read: HashMap::new(),
            taken: 0,
            unended: Vec::new(),
            extglob: false,
            aliases: None,
            expanding: Expanding::default(),
            floor,
        }
    }

    /// Numbers lines from here on.
    pub(crate) fn at_line(mut self, line: u32) -> Parser<'a> {
        self.line = line;
        self
    }

    /// The 1-based number of the line that is read next.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// Here-documents that the end of the text ended, since the last time.
    pub(crate) fn take_unended(&mut self) -> Vec<Unended> {
        std::mem::take(&mut self.unended)
    }

    /// Reads one complete command: the lists of a line, with all lines that belong to it. `None` at the end.
    pub(crate) fn complete_command(&mut self) -> Read<Option<List>> {
        while matches!(self.peek()?, Token::Newline) {
            self.take()?;
        }
        if matches!(self.peek()?, Token::End) {
            return Ok(None);
        }
        let mut list = List::default();
        loop {
            let and_or = self.and_or()?;
            let mut background = false;
            let mut separated = false;
            if let Token::Op(op @ (b";" | b"&")) = self.peek()? {
                background = *op == b"&";
                separated = true;
                self.take()?;
            }
            list.0.push(Item { and_or: Arc::new(and_or), background });
            match self.peek()? {
                Token::End => return Ok(Some(list)),
                Token::Newline => {
                    self.take()?;
                    return Ok(Some(list));
                }
                _ if separated => {}
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// Refuses to go deeper than the stack allows.
    pub(super) fn deeper(&self) -> Read<()> {
        let here = 0u8;
        if (&raw const here).addr() < self.floor {
            return Err(SyntaxError::Depth { line: self.line });
        }
        Ok(())
    }

    pub(super) fn unexpected(&mut self) -> SyntaxError {
        let line = self.token_line;
        match &self.next {
            Some(Token::End) | None => {
                let open = self.text.last().is_some_and(|b| *b != b'\n');
                SyntaxError::End { line: self.line + u32::from(open) }
            }
            Some(token) => SyntaxError::Unexpected { token: token.text(), line },
        }
    }

    /// Whether a command can begin with what is next.
    fn begins(&mut self) -> Read<bool> {
        Ok(match self.peek()? {
            Token::Word(word) => !word.plain().is_some_and(|w| RESERVED[..CLOSING].contains(&w)),
            Token::Op(op) => {
                *op == b"(" || op.starts_with(b"<") || op.starts_with(b">") || op.starts_with(b"&>")
            }
            Token::Array(..) | Token::Number(_) | Token::Name(_) => true,
            Token::Newline | Token::End => false,
        })
    }

    pub(super) fn newlines(&mut self) -> Read<()> {
        while matches!(self.peek()?, Token::Newline) {
            self.take()?;
        }
        Ok(())
    }

    pub(super) fn is_word(&mut self, text: &[u8]) -> Read<bool> {
        Ok(matches!(self.peek()?, Token::Word(word) if word.plain() == Some(text)))
    }

    pub(super) fn is_op(&mut self, text: &[u8]) -> Read<bool> {
        Ok(matches!(self.peek()?, Token::Op(op) if *op == text))
    }

    fn expect_word(&mut self, text: &[u8]) -> Read<()> {
        if self.is_word(text)? {
            self.take()?;
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn expect_op(&mut self, text: &[u8]) -> Read<()> {
        if self.is_op(text)? {
            self.take()?;
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// The commands of `$(…)` up to the bracket, which is taken.
    pub(super) fn list_until_bracket(&mut self) -> Read<List> {
        let list = self.list(true)?;
        if !self.is_op(b")")? {
            return Err(match self.unexpected() {
                SyntaxError::End { line } => SyntaxError::Unclosed { wanted: b')', line },
                other => other,
            });
        }
        // Only the bracket: the reader goes on as a word, right behind it.
        self.next = None;
        Ok(list)
    }

    /// Commands up to whatever cannot begin one.
    fn list(&mut self, may_be_empty: bool) -> Read<List> {
        self.deeper()?;
        let mut list = List::default();
        self.newlines()?;
        while self.begins()? {
            let and_or = self.and_or()?;
            let mut background = false;
            let mut separated = false;
            match self.peek()? {
                Token::Op(op @ (b";" | b"&")) => {
                    background = *op == b"&";
                    separated = true;
                    self.take()?;
                }
                Token::Newline => separated = true,
                _ => {}
            }
            list.0.push(Item { and_or: Arc::new(and_or), background });
            self.newlines()?;
            if !separated {
                break;
            }
        }
        if list.0.is_empty() && !may_be_empty {
            return Err(self.unexpected());
        }
        Ok(list)
    }

    fn and_or(&mut self) -> Read<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let then = match self.peek()? {
                Token::Op(b"&&") => Then::And,
                Token::Op(b"||") => Then::Or,
                _ => return Ok(AndOr { first, rest }),
            };
            self.take()?;
            self.newlines()?;
            rest.push((then, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Read<Pipeline> {
        let mut pipeline = Pipeline { negated: false, timed: None, commands: Vec::new() };
        loop {
            if self.is_word(b"!")? {
                self.take()?;
                pipeline.negated = !pipeline.negated;
            } else if self.is_word(b"time")? && pipeline.timed.is_none() {
                self.take()?;
                let posix = self.is_word(b"-p")?;
                if posix {
                    self.take()?;
                }
                pipeline.timed = Some(posix);
            } else {
                break;
            }
        }
        if (pipeline.timed.is_some() || pipeline.negated)
            && matches!(self.peek()?, Token::Newline | Token::End | Token::Op(b";"))
        {
            return Ok(pipeline);
        }
        loop {
            let mut command = self.command()?;
            match self.peek()? {
                Token::Op(b"|") => {}
                Token::Op(b"|&") => command.redirects.push(Redirect::errors_to_output()),
                _ => {
                    pipeline.commands.push(Arc::new(command));
                    return Ok(pipeline);
                }
            }
            self.take()?;
            self.newlines()?;
            pipeline.commands.push(Arc::new(command));
        }
    }

    pub(super) fn command(&mut self) -> Read<Command> {
        self.deeper()?;
        self.expand_alias(true)?;
        if !self.begins()? {
            return Err(self.unexpected());
        }
        let line = self.token_line;
        let start = self.token_start;
        let compound = match self.peek()? {
            Token::Op(b"(") => Some(self.brackets()?),
            Token::Word(word) => match word.plain().map(<[u8]>::to_vec).as_deref() {
                Some(b"{") => {
                    self.take()?;
                    let list = self.list(false)?;
                    self.expect_word(b"}")?;
                    Some(What::Brace(list))
                }
                Some(b"if") => Some(self.if_clause()?),
                Some(b"for") => Some(self.for_clause()?),
                Some(b"select") => Some(self.select_clause()?),
                Some(word @ (b"while" | b"until")) => {
                    let until = word == b"until";
                    self.take()?;
                    let condition = self.list(false)?;
                    Some(What::While { until, condition, body: self.do_group()? })
                }
                Some(b"case") => Some(self.case_clause()?),
                Some(b"[[") => {
                    self.take()?;
                    Some(What::Test(self.test_command()?))
                }
                Some(b"function") => {
                    self.take()?;
                    return self.function(line, start);
                }
                Some(b"coproc") => Some(self.coprocess()?),
                _ => None,
            },
            _ => None,
        };
        match compound {
            Some(what) => {
                let redirects = self.redirects()?;
                Ok(Command { line, what, redirects })
            }
            None => self.simple(line, start),
        }
    }

    fn redirects(&mut self) -> Read<Vec<Redirect>> {
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(redirects)
    }

    /// `(…)` or `((…))`.
    fn brackets(&mut self) -> Read<What> {
        self.take()?;
        if self.byte(0) == Some(b'(')
            && let Some(word) = self.arithmetic_to_brackets()?
        {
            return Ok(What::Arithmetic(word));
        }
        let list = self.list(false)?;
        self.expect_op(b")")?;
        Ok(What::Subshell(list))
    }

    fn if_clause(&mut self) -> Read<What> {
        let mut arms = Vec::new();
        let mut otherwise = None;
        loop {
            self.take()?;
            let condition = self.list(false)?;
            self.expect_word(b"then")?;
            arms.push((condition, self.list(false)?));
            if self.is_word(b"elif")? {
                continue;
            }
            if self.is_word(b"else")? {
                self.take()?;
                otherwise = Some(self.list(false)?);
            }
            self.expect_word(b"fi")?;
            return Ok(What::If { arms, otherwise });
        }
    }

    fn do_group(&mut self) -> Read<List> {
        if self.is_word(b"{")? {
            self.take()?;
            let list = self.list(false)?;
            self.expect_word(b"}")?;
            return Ok(list);
        }
        self.expect_word(b"do")?;
        let list = self.list(false)?;
        self.expect_word(b"done")?;
        Ok(list)
    }

    fn for_clause(&mut self) -> Read<What> {
        self.take()?;
        self.blanks_to_bracket();
        if self.byte(0) == Some(b'(') && self.byte(1) == Some(b'(') {
            return self.counting_for();
        }
        let (name, values) = self.loop_head()?;
        Ok(What::For { name, values, body: self.do_group()? })
    }

    fn select_clause(&mut self) -> Read<What> {
        self.take()?;
        let (name, values) = self.loop_head()?;
        Ok(What::Select { name, values, body: self.do_group()? })
    }

    fn blanks_to_bracket(&mut self) {
        if self.next.is_none() {
            while matches!(self.byte(0), Some(b' ' | b'\t')) {
                self.at += 1;
            }
        }
    }

    fn counting_for(&mut self) -> Read<What> {
        let line = self.line;
        self.at += 2;
        let mut parts = Vec::new();
        for end in [b";", b";", b")"] {
            parts.push(self.expression(end)?);
            if self.byte(0).is_none() {
                return Err(SyntaxError::Unclosed { wanted: b')', line });
            }
            self.at += 1;
        }
        if self.byte(0) != Some(b')') {
            return Err(SyntaxError::Unexpected { token: b"((".to_vec(), line });
        }
        self.at += 1;
        if self.is_op(b";")? {
            self.take()?;
        }
        self.newlines()?;
        let body = self.do_group()?;
        let parts: [Word; 3] = parts.try_into().map_err(|_| SyntaxError::End { line })?;
        Ok(What::CountingFor { parts, body })
    }

    /// `name in words ;`
    fn loop_head(&mut self) -> Read<(Vec<u8>, Option<Vec<Word>>)> {
        let name = match self.take()? {
            Token::Word(word) => word.text,
            token => {
                self.next = Some(token);
                return Err(self.unexpected());
            }
        };
        let separated = self.is_op(b";")?;
        if separated {
            self.take()?;
        }
        self.newlines()?;
        if separated || !self.is_word(b"in")? {
            return Ok((name, None));
        }
        self.take()?;
        let mut words = Vec::new();
        while let Token::Word(_) = self.peek()? {
            if let Token::Word(word) = self.take()? {
                words.push(word.settled());
            }
        }
        match self.peek()? {
            Token::Op(b";") | Token::Newline => self.take()?,
            _ => return Err(self.unexpected()),
        };
        self.newlines()?;
        Ok((name, Some(words)))
    }

    fn case_clause(&mut self) -> Read<What> {
        self.take()?;
        let subject = match self.take()? {
            Token::Word(word) => word.settled(),
            token => {
                self.next = Some(token);
                return Err(self.unexpected());
            }
        };
        self.newlines()?;
        self.expect_word(b"in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines()?;
            if self.is_word(b"esac")? {
                self.take()?;
                return Ok(What::Case { subject, arms });
            }
            if self.is_op(b"(")? {
                self.take()?;
            }
            let mut patterns = Vec::new();
            loop {
                match self.take()? {
                    Token::Word(word) => patterns.push(word.settled()),
                    token => {
                        self.next = Some(token);
                        return Err(self.unexpected());
                    }
                }
                if !self.is_op(b"|")? {
                    break;
                }
                self.take()?;
            }
            self.expect_op(b")")?;
            let body = self.list(true)?;
            let end = match self.peek()? {
                Token::Op(b";;") => ArmEnd::Leave,
                Token::Op(b";&") => ArmEnd::Fall,
                Token::Op(b";;&") => ArmEnd::Try,
                Token::Word(word) if word.plain() == Some(b"esac") => {
                    arms.push(Arm { patterns, body, end: ArmEnd::Leave });
                    self.take()?;
                    return Ok(What::Case { subject, arms });
                }
                _ => return Err(self.unexpected()),
            };
            self.take()?;
            arms.push(Arm { patterns, body, end });
        }
    }

    /// `function name …`, behind the word.
    fn function(&mut self, line: u32, start: usize) -> Read<Command> {
        let name = match self.take()? {
            Token::Word(word) => word.text,
            token => {
                self.next = Some(token);
                return Err(self.unexpected());
            }
        };
        if self.is_op(b"(")? {
            self.take()?;
            self.expect_op(b")")?;
        }
        self.function_body(name, line, start)
    }

    /// The body of a function whose head was read.
    pub(super) fn function_body(&mut self, name: Vec<u8>, line: u32, start: usize) -> Read<Command> {
        self.newlines()?;
        let body = self.command()?;
        if matches!(body.what, What::Simple(_) | What::Function(_)) {
            return Err(self.unexpected());
        }
        let text = self.text[start..self.last_end.max(start)].to_vec();
        let function = Function { name, body: Arc::new(body), text };
        Ok(Command { line, what: What::Function(Arc::new(function)), redirects: Vec::new() })
    }

    fn coprocess(&mut self) -> Read<What> {
        self.take()?;
        let mut name = b"COPROC".to_vec();
        if let Token::Word(word) = self.peek()?
            && let Some(text) = word.plain().map(<[u8]>::to_vec)
            && super::is_name(&text)
            && !RESERVED.contains(&text.as_slice())
        {
            // A name only stands before a compound command.
            let rest = self.text[self.at..].trim_ascii_start();
            let length = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
            if rest.starts_with(b"(") || RESERVED[CLOSING..].contains(&&rest[..length]) {
                self.take()?;
                name = text;
            }
        }
        Ok(What::Coprocess { name, body: Arc::new(self.command()?) })
    }
}
