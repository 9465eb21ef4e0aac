//! Words: quotes, substitutions and expansions, read where they stand.

use super::error::SyntaxError;
use super::lex::Token;
use super::parse::Parser;
use super::tree::{Assigned, Assignment, Backquote, Element, Op, Parameter, Part, Script, Subscript, Word};
use std::sync::Arc;

/// Attempts to read arithmetic that may run to the end of the script before that is its error.
const MAX_DEAD_ENDS: u32 = 64;

/// Where parts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An unquoted word.
    Bare,
    /// Between double quotes.
    Double,
    /// The lines of a here-document: double quotes are text.
    Heredoc,
    /// An arithmetic expression or subscript.
    Arithmetic,
}

/// Whether a name can begin with it.
pub(crate) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether a name can hold it.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether it is a variable's name.
pub(crate) fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(|b| is_name_start(*b)) && text.iter().all(|b| is_name_byte(*b))
}

/// Parts as they grow.
#[derive(Default)]
pub(super) struct Parts(pub Vec<Part>);

impl Parts {
    pub(super) fn text(&mut self, byte: u8) {
        if let Some(Part::Text(text)) = self.0.last_mut() {
            text.push(byte);
        } else {
            self.0.push(Part::Text(vec![byte]));
        }
    }

    pub(super) fn quoted(&mut self, bytes: &[u8]) {
        if let Some(Part::Quoted(text)) = self.0.last_mut() {
            text.extend_from_slice(bytes);
        } else {
            self.0.push(Part::Quoted(bytes.to_vec()));
        }
    }
}

impl Parser<'_> {
    /// A word, or an array's assignment.
    pub(super) fn word_token(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        let mut word = self.word(false)?;
        if self.byte(0) == Some(b'(') && word.text.ends_with(b"=") && word.parts.len() <= 1 {
            let line = self.line;
            if let Some((name, index, append, value)) = split_assignment(&mut word)
                && value.text.is_empty()
            {
                self.at += 1;
                let value = Assigned::Array(self.elements(line)?);
                let text = self.text[start..self.at].to_vec();
                return Ok(Token::Array(Assignment { name, index, append, value }, text));
            }
        }
        Ok(Token::Word(word))
    }

    /// A word at the reader's place. In a regular expression, brackets group and do not end it.
    pub(super) fn word(&mut self, regex: bool) -> Result<Word, SyntaxError> {
        let start = self.at;
        let mut parts = Parts::default();
        let mut subscript = None;
        let mut depth = 0usize;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'(' if regex => {
                    depth += 1;
                    parts.text(byte);
                    self.at += 1;
                }
                b')' if regex && depth > 0 => {
                    depth -= 1;
                    parts.text(byte);
                    self.at += 1;
                }
                b'|' | b' ' | b'\t' | b'<' | b'>' | b'&' | b';' if regex && depth > 0 => {
                    parts.text(byte);
                    self.at += 1;
                }
                b'|' if regex && self.byte(1) != Some(b'|') => {
                    parts.text(byte);
                    self.at += 1;
                }
                b'<' | b'>' if self.byte(1) == Some(b'(') && !regex => {
                    self.at += 2;
                    let script = self.commands_to_bracket()?;
                    parts.0.push(Part::Process(byte == b'<', script));
                }
                b' ' | b'\t' | b'\n' | b'|' | b'&' | b';' | b'(' | b')' | b'<' | b'>' => break,
                b'?' | b'*' | b'+' | b'@' | b'!' if self.extglob && self.byte(1) == Some(b'(') && !regex => {
                    parts.text(byte);
                    self.at += 1;
                    self.group(&mut parts)?;
                }
                b'[' if !regex && subscript.is_none() && is_name(&self.text[start..self.at]) => {
                    let name = self.text[start..self.at].to_vec();
                    match self.assigned_subscript()? {
                        Some((index, append)) => {
                            subscript =
                                Some(Arc::new(Subscript { name, index, append, value: self.at - start }));
                            parts = Parts::default();
                        }
                        None => {
                            parts.text(byte);
                            self.at += 1;
                        }
                    }
                }
                _ => self.part(&mut parts, Place::Bare)?,
            }
        }
        let text = self.text[start..self.at].to_vec();
        let braces = parts.0.iter().any(|p| matches!(p, Part::Text(t) if t.contains(&b'{')));
        Ok(Word { parts: parts.0, text, braces, subscript })
    }

    /// `[index]=` or `[index]+=`; nothing is taken when it is something else.
    fn assigned_subscript(&mut self) -> Result<Option<(Word, bool)>, SyntaxError> {
        if self.failed.contains(&self.at) {
            return Ok(None);
        }
        let mark = (self.at, self.line);
        self.at += 1;
        self.attempts += 1;
        let index = self.expression(b"]\n");
        self.attempts -= 1;
        match (index, self.byte(0), self.byte(1), self.byte(2)) {
            (Ok(index), Some(b']'), Some(b'='), _) => {
                self.at += 2;
                return Ok(Some((index, false)));
            }
            (Ok(index), Some(b']'), Some(b'+'), Some(b'=')) => {
                self.at += 3;
                return Ok(Some((index, true)));
            }
            (Err(depth @ SyntaxError::Depth { .. }), ..) => return Err(depth),
            _ => {}
        }
        (self.at, self.line) = mark;
        self.failed.insert(self.at);
        Ok(None)
    }

    /// An extended pattern's brackets; the opening one is next.
    fn group(&mut self, parts: &mut Parts) -> Result<(), SyntaxError> {
        let line = self.line;
        let mut depth = 0;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b' ' | b'\t' | b'\n' | b'|' | b'&' | b';' | b'<' | b'>' => {}
                _ => {
                    self.part(parts, Place::Bare)?;
                    continue;
                }
            }
            parts.text(byte);
            self.bump();
            if depth == 0 {
                return Ok(());
            }
        }
        Err(SyntaxError::Unclosed { wanted: b')', line })
    }

    /// One part, or one byte of text.
    pub(super) fn part(&mut self, parts: &mut Parts, place: Place) -> Result<(), SyntaxError> {
        let Some(byte) = self.byte(0) else { return Ok(()) };
        let plain = |parts: &mut Parts, byte| {
            if place == Place::Bare { parts.text(byte) } else { parts.quoted(&[byte]) }
        };
        match byte {
            b'\\' => {
                let Some(next) = self.byte(1) else {
                    plain(parts, b'\\');
                    self.at += 1;
                    return Ok(());
                };
                self.at += 1;
                self.bump();
                match next {
                    b'\n' => {}
                    _ if place == Place::Bare => parts.quoted(&[next]),
                    b'$' | b'`' | b'\\' => parts.quoted(&[next]),
                    b'"' if place != Place::Heredoc => parts.quoted(&[next]),
                    _ => parts.quoted(&[b'\\', next]),
                }
            }
            b'\'' if place == Place::Bare => {
                let line = self.line;
                self.at += 1;
                let start = self.at;
                while self.byte(0).is_some_and(|b| b != b'\'') {
                    self.bump();
                }
                if self.byte(0).is_none() {
                    return Err(SyntaxError::Unclosed { wanted: b'\'', line });
                }
                parts.quoted(&self.text[start..self.at]);
                self.at += 1;
            }
            b'"' if matches!(place, Place::Bare | Place::Arithmetic) => {
                self.at += 1;
                self.double(parts)?;
            }
            b'$' => self.dollar(parts, place)?,
            b'`' => self.backquote(parts, place)?,
            _ => {
                plain(parts, byte);
                self.bump();
            }
        }
        Ok(())
    }

    /// What stands between double quotes; the opening one was taken.
    fn double(&mut self, parts: &mut Parts) -> Result<(), SyntaxError> {
        let line = self.line;
        let mut inner = Parts::default();
        loop {
            match self.byte(0) {
                None => return Err(SyntaxError::Unclosed { wanted: b'"', line }),
                Some(b'"') => break,
                Some(_) => self.part(&mut inner, Place::Double)?,
            }
        }
        self.at += 1;
        parts.0.push(Part::Double(Arc::new(inner.0)));
        Ok(())
    }

    /// The parts of a here-document: all of the text.
    pub(super) fn heredoc_parts(&mut self) -> Result<Vec<Part>, SyntaxError> {
        let mut parts = Parts::default();
        while self.byte(0).is_some() {
            self.part(&mut parts, Place::Heredoc)?;
        }
        Ok(parts.0)
    }

    fn backquote(&mut self, parts: &mut Parts, place: Place) -> Result<(), SyntaxError> {
        let line = self.line;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.byte(0) {
                None => return Err(SyntaxError::Unclosed { wanted: b'`', line }),
                Some(b'`') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.byte(0) {
                        Some(b @ (b'$' | b'`' | b'\\')) => text.push(b),
                        Some(b'"') if place == Place::Double => text.push(b'"'),
                        Some(b) => text.extend_from_slice(&[b'\\', b]),
                        None => return Err(SyntaxError::Unclosed { wanted: b'`', line }),
                    }
                    self.bump();
                }
                Some(b) => {
                    text.push(b);
                    self.bump();
                }
            }
        }
        self.at += 1;
        parts.0.push(Part::Backquote(Arc::new(Backquote { text, line })));
        Ok(())
    }

    fn dollar(&mut self, parts: &mut Parts, place: Place) -> Result<(), SyntaxError> {
        let start = self.at;
        if let Some((end, line, part)) = self.read.get(&start) {
            parts.0.push(part.clone());
            (self.at, self.line) = (*end, *line);
            return Ok(());
        }
        let waiting = self.pending.len();
        self.expansion(parts, place)?;
        // While an attempt may fail, what it read is kept for the next.
        if self.attempts > 0
            && waiting == self.pending.len()
            && let Some(part @ (Part::Command(_) | Part::Arithmetic(_))) = parts.0.last()
        {
            self.read.insert(start, (self.at, self.line, part.clone()));
        }
        Ok(())
    }

    fn expansion(&mut self, parts: &mut Parts, place: Place) -> Result<(), SyntaxError> {
        match self.byte(1) {
            Some(b'(') => {
                self.at += 2;
                if self.byte(0) == Some(b'(')
                    && let Some(word) = self.arithmetic_to_brackets()?
                {
                    parts.0.push(Part::Arithmetic(Arc::new(word)));
                    return Ok(());
                }
                let script = self.commands_to_bracket()?;
                parts.0.push(Part::Command(script));
            }
            Some(b'[') => {
                self.at += 2;
                let line = self.line;
                let word = self.expression(b"]")?;
                if self.byte(0).is_none() {
                    return Err(SyntaxError::Unclosed { wanted: b']', line });
                }
                self.at += 1;
                parts.0.push(Part::Arithmetic(Arc::new(word)));
            }
            Some(b'{') => self.braced(parts, place)?,
            Some(b'\'') if place == Place::Bare => {
                self.at += 2;
                self.ansi(parts)?;
            }
            Some(b'"') if place == Place::Bare => {
                self.at += 2;
                self.double(parts)?;
            }
            Some(b) if is_name_start(b) => {
                self.at += 1;
                let start = self.at;
                while self.byte(0).is_some_and(is_name_byte) {
                    self.at += 1;
                }
                self.simple_parameter(parts, start);
            }
            Some(b) if b.is_ascii_digit() || b"@*#?-$!".contains(&b) => {
                self.at += 2;
                self.simple_parameter(parts, self.at - 1);
            }
            _ => {
                if place == Place::Bare {
                    parts.text(b'$')
                } else {
                    parts.quoted(b"$")
                }
                self.at += 1;
            }
        }
        Ok(())
    }

    fn simple_parameter(&mut self, parts: &mut Parts, start: usize) {
        let name = self.text[start..self.at].to_vec();
        parts.0.push(Part::Parameter(Arc::new(Parameter {
            text: name.clone(),
            name,
            index: None,
            indirect: false,
            op: Op::None,
        })));
    }

    /// `$'…'`, behind the quote.
    fn ansi(&mut self, parts: &mut Parts) -> Result<(), SyntaxError> {
        let line = self.line;
        let start = self.at;
        loop {
            match self.byte(0) {
                None => return Err(SyntaxError::Unclosed { wanted: b'\'', line }),
                Some(b'\'') => break,
                Some(b'\\') if self.byte(1).is_some() => {
                    self.at += 1;
                    self.bump();
                }
                Some(_) => self.bump(),
            }
        }
        let text = crate::builtin::escape::ansi(&self.text[start..self.at]);
        parts.quoted(&text);
        self.at += 1;
        Ok(())
    }

    /// The commands up to the `)` that closes a substitution.
    pub(super) fn commands_to_bracket(&mut self) -> Result<Arc<Script>, SyntaxError> {
        self.deeper()?;
        let outer = std::mem::take(&mut self.pending);
        let token = (self.token_line, self.token_start, self.last_end);
        let list = self.list_until_bracket();
        let inner = std::mem::replace(&mut self.pending, outer);
        (self.token_line, self.token_start, self.last_end) = token;
        // `$(cat <<E)`: its lines follow later; bash takes them from behind the bracket too.
        self.pending.extend(inner);
        Ok(Arc::new(Script { list: list? }))
    }

    /// `((…))`, its second bracket being next; `None`, and nothing taken, when it is something else.
    pub(super) fn arithmetic_to_brackets(&mut self) -> Result<Option<Word>, SyntaxError> {
        self.deeper()?;
        if self.failed.contains(&self.at) {
            return Ok(None);
        }
        let mark = (self.at, self.line);
        self.at += 1;
        self.attempts += 1;
        let word = self.expression(b")");
        self.attempts -= 1;
        match word {
            Ok(_) if self.byte(0).is_none() => {
                return Err(SyntaxError::Unclosed { wanted: b')', line: mark.1 });
            }
            Ok(word) if self.byte(1) == Some(b')') => {
                self.at += 2;
                return Ok(Some(word));
            }
            Err(SyntaxError::Depth { line }) => return Err(SyntaxError::Depth { line }),
            Err(error @ SyntaxError::Unclosed { .. }) => {
                self.dead_ends += 1;
                if self.dead_ends > MAX_DEAD_ENDS {
                    return Err(error);
                }
            }
            // What is no expression may be commands.
            _ => {}
        }
        (self.at, self.line) = mark;
        self.failed.insert(self.at);
        Ok(None)
    }

    /// An arithmetic expression up to one of these bytes outside brackets; the byte is next.
    pub(super) fn expression(&mut self, ends: &[u8]) -> Result<Word, SyntaxError> {
        let start = self.at;
        let mut parts = Parts::default();
        let mut depth = 0usize;
        while let Some(byte) = self.byte(0) {
            match byte {
                _ if depth == 0 && ends.contains(&byte) => break,
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                _ => {
                    self.part(&mut parts, Place::Arithmetic)?;
                    continue;
                }
            }
            parts.quoted(&[byte]);
            self.bump();
        }
        Ok(Word { parts: parts.0, text: self.text[start..self.at].to_vec(), ..Word::default() })
    }

    /// The elements of an array, behind `(`.
    fn elements(&mut self, line: u32) -> Result<Vec<Element>, SyntaxError> {
        self.deeper()?;
        let mut elements = Vec::new();
        loop {
            match self.byte(0) {
                None => return Err(SyntaxError::Unclosed { wanted: b')', line }),
                Some(b' ' | b'\t' | b'\n') => self.bump(),
                Some(b'\\') if self.byte(1) == Some(b'\n') => {
                    self.at += 1;
                    self.bump();
                }
                Some(b'#') => {
                    while self.byte(0).is_some_and(|b| b != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b')') => {
                    self.at += 1;
                    return Ok(elements);
                }
                Some(b'[') => elements.push(self.indexed_element()?),
                Some(b @ (b'&' | b';' | b'|' | b'(')) => {
                    return Err(SyntaxError::Unexpected { token: vec![b], line: self.line });
                }
                Some(b @ (b'<' | b'>')) if self.byte(1) != Some(b'(') => {
                    return Err(SyntaxError::Unexpected { token: vec![b], line: self.line });
                }
                Some(_) => {
                    let value = self.word(false)?.settled();
                    elements.push(Element { index: None, append: false, value });
                }
            }
        }
    }

    /// `[index]=value`, or a pattern such as `[ab]*`.
    fn indexed_element(&mut self) -> Result<Element, SyntaxError> {
        if let Some((index, append)) = self.assigned_subscript()? {
            let value = self.word(false)?.settled();
            return Ok(Element { index: Some(index), append, value });
        }
        let value = self.word(false)?.settled();
        Ok(Element { index: None, append: false, value })
    }
}

/// Name, subscript, whether it appends, and value, when a word is an assignment. The word is used up then.
pub(super) fn split_assignment(word: &mut Word) -> Option<(Vec<u8>, Option<Word>, bool, Word)> {
    if let Some(subscript) = word.subscript.take() {
        let Ok(Subscript { name, index, append, value }) = Arc::try_unwrap(subscript) else { return None };
        let text = word.text[value..].to_vec();
        let parts = std::mem::take(&mut word.parts);
        return Some((name, Some(index), append, Word { parts, text, ..Word::default() }));
    }
    let Some(Part::Text(first)) = word.parts.first() else { return None };
    let length = first.iter().take_while(|b| is_name_byte(**b)).count();
    if !is_name(&first[..length]) {
        return None;
    }
    let (append, skipped) = match &first[length..] {
        [b'+', b'=', ..] => (true, 2),
        [b'=', ..] => (false, 1),
        _ => return None,
    };
    let name = first[..length].to_vec();
    let mut parts = std::mem::take(&mut word.parts);
    if let Some(Part::Text(first)) = parts.first_mut() {
        first.drain(..length + skipped);
        if first.is_empty() {
            parts.remove(0);
        }
    }
    let text = word.text[length + skipped..].to_vec();
    Some((name, None, append, Word { parts, text, ..Word::default() }))
}
