//! Addresses: `3`, `.`, `$`, `'a`, `/text/`, `?text?`, `+2`, `,` and `;`.

use super::{Editor, Refusal};
use regex::bytes::Regex;

const INVALID: Refusal = "Invalid address";

/// What stands before a command.
pub struct Range {
    /// The lines; of one address both are the same.
    pub lines: Option<(usize, usize)>,
}

impl Range {
    /// Returns the lines, or these if none were given.
    pub fn or(&self, from: usize, to: usize) -> (usize, usize) {
        self.lines.unwrap_or((from, to))
    }

    /// Returns the last line, or this if none was given.
    pub fn last_or(&self, line: usize) -> usize {
        self.lines.map_or(line, |(_, to)| to)
    }
}

impl Editor {
    /// Reads the addresses before a command and takes them off its text.
    pub(super) fn range(&mut self, text: &mut &[u8]) -> Result<Range, Refusal> {
        let (mut from, mut to): (Option<usize>, Option<usize>) = (None, None);
        let here = self.text.here;
        loop {
            let address = self.address(text)?;
            if address.is_some() {
                from = to;
                to = address;
            }
            skip(text);
            let Some(separator @ (b',' | b';' | b'%')) = text.first().copied() else { break };
            *text = &text[1..];
            let start = match (address, separator) {
                (Some(address), _) => address,
                (None, b';') => here,
                (None, _) => 1,
            };
            if separator == b';' {
                self.text.here = start;
            }
            from = Some(start);
            to = match self.address(text)? {
                Some(end) => Some(end),
                // Alone, `,` is all and `;` the rest; behind an address they end at it.
                None if address.is_none() => Some(self.text.count()),
                None => Some(start),
            };
            skip(text);
            if !matches!(text.first(), Some(b',' | b';')) {
                break;
            }
        }
        let Some(to) = to else { return Ok(Range { lines: None }) };
        let from = from.unwrap_or(to);
        if from > to || to > self.text.count() {
            self.text.here = here;
            return Err(INVALID);
        }
        Ok(Range { lines: Some((from, to)) })
    }

    /// Reads one address.
    pub(super) fn address(&mut self, text: &mut &[u8]) -> Result<Option<usize>, Refusal> {
        skip(text);
        let here = self.text.here;
        let mut found: Option<i64> = None;
        if let Some(first) = text.first().copied() {
            match first {
                b'0'..=b'9' => found = Some(number(text)?),
                b'.' | b'$' => {
                    *text = &text[1..];
                    found = Some(if first == b'.' { here } else { self.text.count() } as i64);
                }
                b'\'' => {
                    let letter = text
                        .get(1)
                        .copied()
                        .filter(u8::is_ascii_lowercase)
                        .ok_or("Invalid mark character")?;
                    *text = &text[2..];
                    found = Some(self.text.marked(letter).ok_or(INVALID)? as i64);
                }
                b'/' | b'?' => {
                    *text = &text[1..];
                    let pattern = self.pattern(text, first)?;
                    found = Some(self.search(&pattern, first == b'/').ok_or("No match")? as i64);
                }
                _ => {}
            }
        }
        loop {
            skip(text);
            let Some(sign @ (b'+' | b'-' | b'^' | b'0'..=b'9')) = text.first().copied() else { break };
            if sign.is_ascii_digit() && found.is_none() {
                break;
            }
            if !sign.is_ascii_digit() {
                *text = &text[1..];
            }
            let by = if text.first().is_some_and(u8::is_ascii_digit) { number(text)? } else { 1 };
            let by = if matches!(sign, b'-' | b'^') { -by } else { by };
            found = Some(found.unwrap_or(here as i64).saturating_add(by));
        }
        match found {
            Some(line) if line < 0 || line > self.text.count() as i64 => Err(INVALID),
            found => Ok(found.map(|line| line as usize)),
        }
    }

    /// Reads a pattern up to its delimiter; an empty one is the last again.
    pub(super) fn pattern(&mut self, text: &mut &[u8], delimiter: u8) -> Result<Regex, Refusal> {
        let (pattern, _) = part(text, delimiter);
        if !pattern.is_empty() {
            let pattern = String::from_utf8_lossy(&pattern).into_owned();
            self.pattern = Some(guest_git::basic_pattern(&pattern).ok_or("Invalid regular expression")?);
        }
        self.pattern.clone().ok_or("No previous pattern")
    }

    fn search(&self, pattern: &Regex, forward: bool) -> Option<usize> {
        let (count, here) = (self.text.count(), self.text.here);
        (1..=count)
            .map(|step| {
                if forward {
                    (here + step - 1) % count + 1
                } else {
                    (here + 2 * count - step - 1) % count + 1
                }
            })
            .find(|line| pattern.is_match(self.text.line(*line)))
    }
}

fn number(text: &mut &[u8]) -> Result<i64, Refusal> {
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    *text = rest;
    std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).ok_or(INVALID)
}

/// Takes spaces off.
pub fn skip(text: &mut &[u8]) {
    *text = text.trim_ascii_start();
}

/// Takes what stands before a delimiter off, and the delimiter; says whether it was there. An escaped delimiter is itself.
pub fn part(text: &mut &[u8], delimiter: u8) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut at = 0;
    let mut class = false;
    while let Some(byte) = text.get(at).copied() {
        match byte {
            b'\\' if text.get(at + 1) == Some(&delimiter) => {
                out.push(delimiter);
                at += 1;
            }
            b'\\' => {
                out.push(byte);
                out.extend(text.get(at + 1));
                at += 1;
            }
            _ if byte == delimiter && !class => {
                *text = &text[at + 1..];
                return (out, true);
            }
            _ => {
                class = byte == b'[' || class && byte != b']';
                out.push(byte);
            }
        }
        at += 1;
    }
    *text = b"";
    (out, false)
}
