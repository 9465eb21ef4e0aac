//! Python's words for JSON: for a text that is none, and for types. Harnesses show them to the model, so that they are
//! part of a prompt.
//!
//! As `json.loads` of Python 3.11 says it; the reason comes with line, column and place in characters.

use serde_json::Value;

/// Nesting from which on no more is looked at.
const DEEPEST: usize = 400;

/// What Python's `json.loads` says against a text; nothing when it takes it.
pub(super) fn fault(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let (what, at) = Reader { chars: &chars }.document().err()?;
    let before = &chars[..at.min(chars.len())];
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
    Some(format!("{what}: line {line} column {column} (char {at})"))
}

/// What Python calls the type of a value.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// What was expected, and where.
type Fault = (&'static str, usize);

struct Reader<'a> {
    chars: &'a [char],
}

impl Reader<'_> {
    fn document(&self) -> Result<(), Fault> {
        if self.chars.first() == Some(&'\u{feff}') {
            return Err(("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
        }
        let end = self.value(self.blank(0), 0)?;
        let end = self.blank(end);
        if end == self.chars.len() { Ok(()) } else { Err(("Extra data", end)) }
    }

    fn is(&self, at: usize, c: char) -> bool {
        self.chars.get(at) == Some(&c)
    }

    fn blank(&self, from: usize) -> usize {
        let rest = self.chars.get(from..).unwrap_or(&[]);
        from + rest.iter().take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r')).count()
    }

    /// Each of these returns where the thing ends.
    fn value(&self, at: usize, depth: usize) -> Result<usize, Fault> {
        let none = Err(("Expecting value", at));
        if depth > DEEPEST {
            return none;
        }
        let word = |word: &str| self.chars[at..].iter().copied().take(word.len()).eq(word.chars());
        match self.chars.get(at) {
            None => none,
            Some('"') => self.string(at + 1),
            Some('{') => self.object(at + 1, depth),
            Some('[') => self.array(at + 1, depth),
            Some(_) => {
                match ["null", "true", "false", "NaN", "Infinity", "-Infinity"].into_iter().find(|w| word(w))
                {
                    Some(found) => Ok(at + found.len()),
                    None => self.number(at).map_or(none, Ok),
                }
            }
        }
    }

    fn object(&self, from: usize, depth: usize) -> Result<usize, Fault> {
        let mut at = self.blank(from);
        if self.is(at, '}') {
            return Ok(at + 1);
        }
        loop {
            if !self.is(at, '"') {
                return Err(("Expecting property name enclosed in double quotes", at));
            }
            at = self.blank(self.string(at + 1)?);
            if !self.is(at, ':') {
                return Err(("Expecting ':' delimiter", at));
            }
            at = self.blank(self.value(self.blank(at + 1), depth + 1)?);
            if self.is(at, '}') {
                return Ok(at + 1);
            }
            if !self.is(at, ',') {
                return Err(("Expecting ',' delimiter", at));
            }
            at = self.blank(at + 1);
        }
    }

    fn array(&self, from: usize, depth: usize) -> Result<usize, Fault> {
        let mut at = self.blank(from);
        if self.is(at, ']') {
            return Ok(at + 1);
        }
        loop {
            at = self.blank(self.value(at, depth + 1)?);
            if self.is(at, ']') {
                return Ok(at + 1);
            }
            if !self.is(at, ',') {
                return Err(("Expecting ',' delimiter", at));
            }
            at = self.blank(at + 1);
        }
    }

    /// From behind the first quote on.
    fn string(&self, from: usize) -> Result<usize, Fault> {
        let open = Err(("Unterminated string starting at", from - 1));
        let mut at = from;
        loop {
            match self.chars.get(at) {
                None => return open,
                Some('"') => return Ok(at + 1),
                Some('\\') => match self.chars.get(at + 1) {
                    None => return open,
                    Some('u') => {
                        let digits = self.chars.get(at + 2..at + 6);
                        // Python wants something behind the digits, too.
                        let is_whole = digits.is_some_and(|d| d.iter().all(char::is_ascii_hexdigit));
                        if !is_whole || at + 6 >= self.chars.len() {
                            return Err(("Invalid \\uXXXX escape", at + 1));
                        }
                        at += 6;
                    }
                    Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => at += 2,
                    Some(_) => return Err(("Invalid \\escape", at)),
                },
                Some(c) if *c <= '\u{1f}' => return Err(("Invalid control character at", at)),
                Some(_) => at += 1,
            }
        }
    }

    fn number(&self, from: usize) -> Option<usize> {
        let digits = |at: usize| {
            let rest = self.chars.get(at..).unwrap_or(&[]);
            at + rest.iter().take_while(|c| c.is_ascii_digit()).count()
        };
        let start = from + usize::from(self.is(from, '-'));
        let mut end = if self.is(start, '0') { start + 1 } else { digits(start) };
        if end == start {
            return None;
        }
        if self.is(end, '.') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if self.is(end, 'e') || self.is(end, 'E') {
            let sign = end + 1 + usize::from(self.is(end + 1, '+') || self.is(end + 1, '-'));
            if digits(sign) > sign {
                end = digits(sign);
            }
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_in_pythons_words() {
        // Made by `json.loads` of Python 3.11.
        let golden: Vec<(String, Option<String>)> =
            serde_json::from_str(include_str!("python-json.json")).unwrap();
        assert!(golden.len() > 800);
        for (text, words) in golden {
            assert_eq!(fault(&text), words, "{text:?}");
        }
    }
}
