//! What an operator makes of a parameter's values: `${x#…}`, `${x/…}`, `${x:…}`, `${x@…}`.

use super::parameter::Got;
use super::pattern;
use super::state::{Leave, Shell};
use super::syntax::{Op, Which, Word};
use super::variable::Value;

impl Shell {
    /// Applies an operator to each value.
    pub(super) fn operated(&mut self, name: &[u8], op: &Op, got: Got, indexed: bool) -> Result<Got, Leave> {
        if let Op::Slice { offset, length } = op {
            return self.slice(name, offset, length.as_ref(), got, indexed);
        }
        if let Op::Length = op {
            let count = match &got {
                Got::Unset => 0,
                Got::One(text) => self.length(text),
                Got::Many(values, _) => values.len(),
            };
            return Ok(Got::One(count.to_string().into_bytes()));
        }
        if let Op::Transform(letter) = op {
            return self.transformed(name, *letter, got);
        }
        if matches!(op, Op::None | Op::Default { .. } | Op::Names(_) | Op::Keys) {
            return Ok(got);
        }
        let mut rules = self.rules();
        rules.extended = true;
        let change: Box<dyn Fn(&mut Shell, &[u8]) -> Result<Vec<u8>, Leave>> = match op {
            Op::Remove { prefix, longest, pattern } => {
                let pattern = self.pattern(pattern)?;
                let (prefix, longest) = (*prefix, *longest);
                rules.ignore_case = false;
                Box::new(move |shell, text| shell.removed(text, &pattern, prefix, longest, rules))
            }
            Op::Replace { which, pattern, by } => {
                let pattern = self.pattern(pattern)?;
                let by = self.replacement(by)?;
                let which = *which;
                Box::new(move |shell, text| shell.replaced(text, &pattern, &by, which, rules))
            }
            Op::Case { letter, all, pattern } => {
                let pattern = if pattern.parts.is_empty() { b"?".to_vec() } else { self.pattern(pattern)? };
                let (letter, all) = (*letter, *all);
                Box::new(move |_, text| Ok(cased(text, letter, all, &pattern, rules)))
            }
            _ => return Ok(got),
        };
        Ok(match got {
            Got::Unset => Got::Unset,
            Got::One(text) => Got::One(change(self, &text)?),
            Got::Many(values, joined) => {
                let values: Result<_, Leave> = values.iter().map(|v| change(self, v)).collect();
                Got::Many(values?, joined)
            }
        })
    }

    fn length(&self, text: &[u8]) -> usize {
        if !self.is_utf8() {
            return text.len();
        }
        let (mut at, mut count) = (0, 0);
        while at < text.len() {
            at += pattern::char_len(&text[at..]);
            count += 1;
        }
        count
    }

    /// The text of a replacement: `&` stands for what matched, unless it is quoted.
    fn replacement(&mut self, word: &Word) -> Result<Vec<Piece>, Leave> {
        let text = self.pattern(word)?;
        let amp = self.shopt("patsub_replacement");
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'\\' if at + 1 < text.len() => {
                    at += 1;
                    // What was quoted has one backslash; one from a value quotes only `&` and itself.
                    plain.push(text[at]);
                }
                b'&' if amp => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Match);
                }
                byte => plain.push(byte),
            }
            at += 1;
        }
        pieces.push(Piece::Text(plain));
        Ok(pieces)
    }

    fn removed(
        &mut self,
        text: &[u8],
        pattern: &[u8],
        prefix: bool,
        longest: bool,
        rules: pattern::Rules,
    ) -> Result<Vec<u8>, Leave> {
        if !pattern::is_pattern(pattern, rules) {
            let plain = pattern::unescape(pattern);
            let left = if prefix { text.strip_prefix(&plain[..]) } else { text.strip_suffix(&plain[..]) };
            return Ok(left.unwrap_or(text).to_vec());
        }
        let length = text.len();
        let at = |n: usize| if prefix == longest { length - n } else { n };
        for n in 0..=length {
            if n % 4096 == 4095 {
                self.check()?;
            }
            let cut = at(n);
            let is_inside = rules.utf8 && cut < length && is_continuation(text, cut);
            let part = if prefix { &text[..cut] } else { &text[cut..] };
            if !is_inside && pattern::matches(pattern, part, rules) {
                return Ok(if prefix { text[cut..].to_vec() } else { text[..cut].to_vec() });
            }
        }
        Ok(text.to_vec())
    }

    fn replaced(
        &mut self,
        text: &[u8],
        pattern: &[u8],
        by: &[Piece],
        which: Which,
        rules: pattern::Rules,
    ) -> Result<Vec<u8>, Leave> {
        if pattern.is_empty() {
            return Ok(match which {
                Which::Prefix => [&filled(by, b"")[..], text].concat(),
                Which::Suffix => [text, &filled(by, b"")[..]].concat(),
                _ => text.to_vec(),
            });
        }
        let plain =
            (!pattern::is_pattern(pattern, rules) && !rules.ignore_case).then(|| pattern::unescape(pattern));
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        if which == Which::Suffix {
            for start in 0..=text.len() {
                let fits = match &plain {
                    Some(plain) => text[start..] == plain[..],
                    None => pattern::matches(pattern, &text[start..], rules),
                };
                if fits {
                    out.extend_from_slice(&text[..start]);
                    out.extend(filled(by, &text[start..]));
                    return Ok(out);
                }
            }
            return Ok(text.to_vec());
        }
        while at <= text.len() {
            if at % 1024 == 1023 {
                self.check()?;
                self.room(out.len())?;
            }
            let end = match &plain {
                Some(plain) => text[at..].starts_with(plain).then(|| at + plain.len()),
                None => longest_match(pattern, text, at, rules),
            };
            match end {
                Some(end) if end > at || text.is_empty() => {
                    out.extend(filled(by, &text[at..end]));
                    at = end;
                    if which != Which::All {
                        break;
                    }
                    if text.is_empty() {
                        break;
                    }
                }
                _ => {
                    if at < text.len() && which != Which::Prefix {
                        out.push(text[at]);
                        at += 1;
                    } else {
                        break;
                    }
                }
            }
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Ok(out)
    }

    fn slice(
        &mut self,
        name: &[u8],
        offset: &Word,
        length: Option<&Word>,
        got: Got,
        indexed: bool,
    ) -> Result<Got, Leave> {
        let offset = self.arithmetic(offset)?;
        let length = match length {
            Some(word) => Some(self.arithmetic(word)?),
            None => None,
        };
        let refused = |shell: &mut Shell, length: i64| {
            let text = format!("{length}: substring expression < 0");
            shell.complain(&text);
            shell.status = 1;
            Leave::Discard
        };
        match got {
            Got::Unset => Ok(Got::Unset),
            Got::Many(mut values, joined) => {
                let base = name.split(|b| *b == b'[').next().unwrap_or(name).to_vec();
                let keys: Vec<i64> = match self.variables.get(&self.real_name(&base)).map(|v| &v.value) {
                    Some(Value::Array(array)) if indexed => array.keys().copied().collect(),
                    _ => Vec::new(),
                };
                if !indexed {
                    values.insert(0, self.name.to_vec());
                }
                let end = match keys.last() {
                    Some(last) => last + 1,
                    None => values.len() as i64,
                };
                let from = if offset < 0 { offset + end } else { offset };
                if from < 0 {
                    return Ok(Got::Many(Vec::new(), joined));
                }
                if let Some(length) = length
                    && length < 0
                {
                    return Err(refused(self, length));
                }
                let skip = if keys.is_empty() {
                    usize::try_from(from).unwrap_or(usize::MAX)
                } else {
                    keys.iter().filter(|k| **k < from).count()
                };
                let skip = if !indexed && offset == 0 { 0 } else { skip };
                let take = length.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
                Ok(Got::Many(values.into_iter().skip(skip).take(take).collect(), joined))
            }
            Got::One(text) => {
                let bounds = self.characters(&text);
                let count = bounds.len() as i64 - 1;
                let from = if offset < 0 { offset + count } else { offset };
                if from < 0 || from > count {
                    return Ok(Got::One(Vec::new()));
                }
                let to = match length {
                    None => count,
                    Some(l) if l < 0 => {
                        let to = count + l;
                        if to < from {
                            return Err(refused(self, l));
                        }
                        to
                    }
                    Some(l) => from.saturating_add(l).min(count),
                };
                Ok(Got::One(text[bounds[from as usize]..bounds[to as usize]].to_vec()))
            }
        }
    }

    /// Where characters begin, and the end.
    fn characters(&self, text: &[u8]) -> Vec<usize> {
        if !self.is_utf8() {
            return (0..=text.len()).collect();
        }
        let mut bounds = vec![0];
        let mut at = 0;
        while at < text.len() {
            at += pattern::char_len(&text[at..]);
            bounds.push(at);
        }
        bounds
    }

    fn transformed(&mut self, name: &[u8], letter: u8, got: Got) -> Result<Got, Leave> {
        use crate::builtin::{declare, escape};
        let base = name.split(|b| *b == b'[').next().unwrap_or(name).to_vec();
        let base = self.real_name(&base);
        match letter {
            b'a' => {
                let letters = self.variables.get(&base).map(super::variable::Variable::letters);
                return Ok(match got {
                    Got::Many(values, joined) => {
                        let letters = letters.unwrap_or_default().into_bytes();
                        Got::Many(values.iter().map(|_| letters.clone()).collect(), joined)
                    }
                    Got::Unset if letters.is_none() => Got::Unset,
                    _ => Got::One(letters.unwrap_or_default().into_bytes()),
                });
            }
            b'A' => {
                let Some(variable) = self.variables.get(&base) else { return Ok(Got::Unset) };
                return Ok(Got::One(declare::assignment(&base, variable, true)));
            }
            b'K' | b'k' => {
                if let Some(variable) = self.variables.get(&base)
                    && matches!(got, Got::Many(..))
                {
                    let pairs: Vec<Vec<u8>> = variable
                        .keys()
                        .into_iter()
                        .zip(variable.values())
                        .flat_map(|(k, v)| [k, v])
                        .collect();
                    if letter == b'k' {
                        return Ok(Got::Many(pairs, false));
                    }
                    let shown: Vec<Vec<u8>> = pairs
                        .iter()
                        .enumerate()
                        .map(|(n, text)| if n % 2 == 1 { escape::double_quoted(text) } else { text.clone() })
                        .collect();
                    return Ok(Got::One(shown.join(&b' ')));
                }
            }
            _ => {}
        }
        let rules = self.rules();
        let change = |text: &[u8]| -> Vec<u8> {
            match letter {
                b'Q' | b'K' | b'k' => escape::single_quoted(text),
                b'E' => escape::ansi(text),
                b'P' => text.to_vec(),
                b'U' => cased(text, b'^', true, b"?", rules),
                b'u' => cased(text, b'^', false, b"?", rules),
                _ => cased(text, b',', true, b"?", rules),
            }
        };
        Ok(match got {
            Got::Unset => Got::Unset,
            Got::One(text) => Got::One(change(&text)),
            Got::Many(values, joined) => Got::Many(values.iter().map(|v| change(v)).collect(), joined),
        })
    }
}

/// A piece of a replacement.
enum Piece {
    Text(Vec<u8>),
    Match,
}

fn filled(pieces: &[Piece], matched: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Match => out.extend_from_slice(matched),
        }
    }
    out
}

fn is_continuation(text: &[u8], at: usize) -> bool {
    text[at] & 0xC0 == 0x80 && std::str::from_utf8(text).is_ok()
}

fn longest_match(pattern: &[u8], text: &[u8], at: usize, rules: pattern::Rules) -> Option<usize> {
    // A pattern without a star has one length at most; the first byte tells of many places that it is none.
    match pattern[0] {
        b'*' | b'?' | b'[' | b'\\' | b'+' | b'@' | b'!' => {}
        byte if !rules.ignore_case && text.get(at) != Some(&byte) => return None,
        _ => {}
    }
    let open = pattern.iter().any(|b| b"*(".contains(b));
    if !open {
        // Each unit of the pattern takes one character.
        let most = text.len().min(at + pattern.len() * 4);
        return (at + 1..=most).find(|end| pattern::matches(pattern, &text[at..*end], rules));
    }
    (at..=text.len()).rev().find(|end| pattern::matches(pattern, &text[at..*end], rules))
}

/// Changes the case of what matches.
pub(crate) fn cased(text: &[u8], letter: u8, all: bool, pattern: &[u8], rules: pattern::Rules) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let length = if rules.utf8 { pattern::char_len(&text[at..]) } else { 1 };
        let character = &text[at..at + length];
        let change = (all || at == 0) && pattern::matches(pattern, character, rules);
        match std::str::from_utf8(character) {
            Ok(s) if change => {
                let is_lower = s.chars().all(char::is_lowercase);
                let up = letter == b'^' || (letter == b'~' && is_lower);
                out.extend(if up { s.to_uppercase() } else { s.to_lowercase() }.into_bytes());
            }
            _ => out.extend_from_slice(character),
        }
        at += length;
    }
    out
}
