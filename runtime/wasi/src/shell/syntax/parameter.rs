//! `${…}`.

use super::error::SyntaxError;
use super::parse::Parser;
use super::tree::{Index, Op, Parameter, Part, Which, Word};
use super::word::{Parts, Place, is_name_byte, is_name_start};
use std::sync::Arc;

impl Parser<'_> {
    /// `${…}`; `$` is next. What means nothing is kept: it fails when it is expanded.
    pub(super) fn braced(&mut self, parts: &mut Parts, place: Place) -> Result<(), SyntaxError> {
        self.deeper()?;
        let start = (self.at, self.line);
        self.at += 2;
        if !self.failed.contains(&start.0)
            && let Some(mut parameter) = self.inner(place)?
        {
            if self.byte(0).is_none() {
                return Err(SyntaxError::Unclosed { wanted: b'}', line: start.1 });
            }
            if self.byte(0) == Some(b'}') {
                self.at += 1;
                parameter.text = self.text[start.0 + 2..self.at - 1].to_vec();
                parts.0.push(Part::Parameter(Arc::new(parameter)));
                return Ok(());
            }
        }
        (self.at, self.line) = start;
        self.failed.insert(self.at);
        self.at += 2;
        self.until(b"}", place, true)?;
        if self.byte(0).is_none() {
            return Err(SyntaxError::Unclosed { wanted: b'}', line: start.1 });
        }
        self.at += 1;
        parts.0.push(Part::Bad(self.text[start.0..self.at].to_vec()));
        Ok(())
    }

    /// What stands in the braces.
    fn inner(&mut self, place: Place) -> Result<Option<Parameter>, SyntaxError> {
        let parameter =
            |name: Vec<u8>, index, op| Parameter { name, index, indirect: false, op, text: Vec::new() };
        if self.byte(0) == Some(b'#') && self.byte(1) != Some(b'}') {
            let mark = self.at;
            self.at += 1;
            if let Some(name) = self.parameter_name() {
                let index = self.subscript()?;
                if self.byte(0) == Some(b'}') {
                    return Ok(Some(parameter(name, index, Op::Length)));
                }
            }
            self.at = mark;
        }
        if self.byte(0) == Some(b'!') && self.byte(1) != Some(b'}') {
            let mark = self.at;
            self.at += 1;
            if let Some(name) = self.parameter_name() {
                if let (Some(b @ (b'*' | b'@')), Some(b'}')) = (self.byte(0), self.byte(1)) {
                    self.at += 1;
                    return Ok(Some(parameter(name, None, Op::Names(b == b'@'))));
                }
                let index = self.subscript()?;
                if matches!(index, Some(Index::Each | Index::Joined)) && self.byte(0) == Some(b'}') {
                    return Ok(Some(parameter(name, index, Op::Keys)));
                }
                let Some(op) = self.operation(place)? else { return Ok(None) };
                return Ok(Some(Parameter { name, index, indirect: true, op, text: Vec::new() }));
            }
            self.at = mark;
        }
        let Some(name) = self.parameter_name() else { return Ok(None) };
        let index = self.subscript()?;
        let Some(op) = self.operation(place)? else { return Ok(None) };
        Ok(Some(parameter(name, index, op)))
    }

    fn parameter_name(&mut self) -> Option<Vec<u8>> {
        let start = self.at;
        let first = self.byte(0)?;
        if is_name_start(first) {
            while self.byte(0).is_some_and(is_name_byte) {
                self.at += 1;
            }
        } else if first.is_ascii_digit() {
            while self.byte(0).is_some_and(|b| b.is_ascii_digit()) {
                self.at += 1;
            }
        } else if b"@*#?-$!".contains(&first) {
            self.at += 1;
        } else {
            return None;
        }
        Some(self.text[start..self.at].to_vec())
    }

    fn subscript(&mut self) -> Result<Option<Index>, SyntaxError> {
        if self.byte(0) != Some(b'[') {
            return Ok(None);
        }
        let line = self.line;
        self.at += 1;
        match (self.byte(0), self.byte(1)) {
            (Some(b'@'), Some(b']')) => {
                self.at += 2;
                return Ok(Some(Index::Each));
            }
            (Some(b'*'), Some(b']')) => {
                self.at += 2;
                return Ok(Some(Index::Joined));
            }
            _ => {}
        }
        let word = self.expression(b"]")?;
        if self.byte(0).is_none() {
            return Err(SyntaxError::Unclosed { wanted: b'}', line });
        }
        self.at += 1;
        Ok(Some(Index::Of(word)))
    }

    /// The operator and its words, up to the closing brace.
    fn operation(&mut self, place: Place) -> Result<Option<Op>, SyntaxError> {
        let Some(byte) = self.byte(0) else { return Ok(Some(Op::None)) };
        let second = self.byte(1);
        Ok(Some(match byte {
            b'}' => Op::None,
            b'-' | b'=' | b'?' | b'+' => {
                self.at += 1;
                Op::Default { letter: byte, colon: false, word: self.until(b"}", place, false)? }
            }
            b':' if matches!(second, Some(b'-' | b'=' | b'?' | b'+')) => {
                self.at += 2;
                let letter = second.unwrap_or(b'-');
                Op::Default { letter, colon: true, word: self.until(b"}", place, false)? }
            }
            b':' => {
                self.at += 1;
                let offset = self.slice_part()?;
                let length = if self.byte(0) == Some(b':') {
                    self.at += 1;
                    Some(self.slice_part()?)
                } else {
                    None
                };
                Op::Slice { offset, length }
            }
            b'#' | b'%' => {
                let longest = second == Some(byte);
                self.at += 1 + usize::from(longest);
                Op::Remove { prefix: byte == b'#', longest, pattern: self.until(b"}", place, true)? }
            }
            b'/' => {
                self.at += 1;
                let which = match second {
                    Some(b'/') => Which::All,
                    Some(b'#') => Which::Prefix,
                    Some(b'%') => Which::Suffix,
                    _ => Which::First,
                };
                self.at += usize::from(which != Which::First);
                let mut pattern =
                    if which == Which::All && self.byte(0) == Some(b'/') && self.byte(1) != Some(b'}') {
                        // `${x////-}`: a slash is the pattern.
                        self.at += 1;
                        Word { parts: vec![Part::Text(b"/".to_vec())], ..Word::default() }
                    } else {
                        Word::default()
                    };
                pattern.parts.extend(self.until(b"/}", place, true)?.parts);
                let by = if self.byte(0) == Some(b'/') {
                    self.at += 1;
                    self.until(b"}", place, true)?
                } else {
                    Word::default()
                };
                Op::Replace { which, pattern, by }
            }
            b'^' | b',' | b'~' => {
                let all = second == Some(byte);
                self.at += 1 + usize::from(all);
                Op::Case { letter: byte, all, pattern: self.until(b"}", place, true)? }
            }
            b'@' if self.byte(2) == Some(b'}') => match second {
                Some(letter) if b"QEPAKakuUL".contains(&letter) => {
                    self.at += 2;
                    Op::Transform(letter)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Offset or length of a slice.
    fn slice_part(&mut self) -> Result<Word, SyntaxError> {
        let start = self.at;
        let mut parts = Parts::default();
        let (mut depth, mut choices) = (0usize, 0usize);
        while let Some(byte) = self.byte(0) {
            match byte {
                b'}' if depth == 0 => break,
                b':' if depth == 0 && choices == 0 => break,
                b':' => choices = choices.saturating_sub(1),
                b'?' => choices += 1,
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

    /// A word up to one of these bytes; the byte is next. In a pattern quotes count even between double quotes.
    fn until(&mut self, ends: &[u8], place: Place, pattern: bool) -> Result<Word, SyntaxError> {
        let start = self.at;
        let mut parts = Parts::default();
        while let Some(byte) = self.byte(0) {
            match byte {
                _ if ends.contains(&byte) => break,
                b'\\' if place != Place::Bare && !pattern && self.byte(1) == Some(b'}') => {
                    parts.quoted(b"}");
                    self.at += 2;
                }
                b'"' if place == Place::Heredoc && !pattern => {
                    parts.quoted(b"\"");
                    self.at += 1;
                }
                b'"' => self.part(&mut parts, Place::Bare)?,
                b'$' if place == Place::Double && self.byte(1) == Some(b'\'') => {
                    self.part(&mut parts, Place::Bare)?;
                }
                _ if pattern || place == Place::Bare => self.part(&mut parts, Place::Bare)?,
                _ => self.part(&mut parts, place)?,
            }
        }
        Ok(Word { parts: parts.0, text: self.text[start..self.at].to_vec(), ..Word::default() })
    }
}
