//! `[[ … ]]`, and what `test` asks of files too.

use super::state::{Leave, Shell};
use super::syntax::Test;
use crate::fs::Kind;

/// Longest regular expression that is compiled, in bytes.
const MAX_REGEX: usize = 64 << 10;
/// Memory of a compiled one, in bytes.
const MAX_REGEX_SIZE: usize = 16 << 20;

impl Shell {
    /// Whether an expression holds.
    pub(super) fn conditional(&mut self, test: &Test) -> Result<bool, Leave> {
        self.deeper()?;
        match test {
            Test::Or(a, b) => Ok(self.conditional(a)? || self.conditional(b)?),
            Test::And(a, b) => Ok(self.conditional(a)? && self.conditional(b)?),
            Test::Not(a) => Ok(!self.conditional(a)?),
            Test::Word(word) => {
                let text = self.text(word)?;
                self.trace_test(&[b"-n", &text]);
                Ok(!text.is_empty())
            }
            Test::Unary(letter, word) => {
                let text = self.text(word)?;
                self.trace_test(&[&[b'-', *letter], &text]);
                self.unary_test(*letter, &text)
            }
            Test::Binary(op, left, right) => {
                let left = self.text(left)?;
                match op.as_slice() {
                    b"==" | b"=" | b"!=" => {
                        let pattern = self.pattern(right)?;
                        self.trace_test(&[&left, op, &pattern]);
                        let mut rules = self.rules();
                        rules.extended = true;
                        Ok(super::pattern::matches(&pattern, &left, rules) == (op != b"!="))
                    }
                    b"=~" => {
                        let regex = self.regex(right)?;
                        self.trace_test(&[&left, op, &regex]);
                        self.regex_test(&left, &regex)
                    }
                    _ => {
                        let right = self.text(right)?;
                        self.trace_test(&[&left, op, &right]);
                        self.binary_test(op, &left, &right, true)
                    }
                }
            }
        }
    }

    fn trace_test(&mut self, words: &[&[u8]]) {
        if self.options.xtrace {
            let line = [b"[[ ", &words.join(&b' ')[..], b" ]]"].concat();
            self.trace(&line);
        }
    }

    /// Tests one word.
    pub(crate) fn unary_test(&mut self, letter: u8, text: &[u8]) -> Result<bool, Leave> {
        match letter {
            b'n' => return Ok(!text.is_empty()),
            b'z' => return Ok(text.is_empty()),
            b'v' => {
                if let Some(open) = text.iter().position(|b| *b == b'[')
                    && text.ends_with(b"]")
                {
                    let index = text[open + 1..text.len() - 1].to_vec();
                    if index == b"@" || index == b"*" {
                        return Ok(self.variables.get(&text[..open]).is_some_and(|v| !v.values().is_empty()));
                    }
                    return Ok(self.element(&text[..open], &index)?.is_some());
                }
                return Ok(matches!(self.got_by_text(text), Ok(super::parameter::Got::One(_))));
            }
            b'o' => return Ok(self.option_is_on(text)),
            b'R' => return Ok(self.variables.get(text).is_some_and(|v| v.reference)),
            b't' => {
                let fd = std::str::from_utf8(text).ok().and_then(|s| s.trim().parse().ok());
                return Ok(fd.and_then(|fd| self.descriptor(fd)).is_some_and(|h| h.is_tty()));
            }
            _ => {}
        }
        if text.is_empty() {
            return Ok(false);
        }
        let follow = !matches!(letter, b'h' | b'L');
        let stat = if let Some(number) = text.strip_prefix(b"/dev/fd/") {
            let fd = std::str::from_utf8(number).ok().and_then(|s| s.parse().ok());
            let Some(handle) = fd.and_then(|fd| self.descriptor(fd)) else { return Ok(false) };
            handle.stat()
        } else {
            match self.world.tree.stat(&self.cwd, text, follow) {
                Ok(stat) => stat,
                Err(_) => return Ok(false),
            }
        };
        let access = |rights| self.world.tree.access(&self.cwd, text, rights).is_ok();
        Ok(match letter {
            b'a' | b'e' => true,
            b'f' => stat.kind == Kind::File,
            b'd' => stat.kind == Kind::Dir,
            b'h' | b'L' => stat.kind == Kind::Link,
            b'c' => stat.kind.is_device(),
            b'p' => stat.kind == Kind::Fifo,
            b's' => stat.size > 0,
            b'r' => access(4),
            b'w' => access(2),
            b'x' => access(1),
            b'g' => stat.mode & 0o2000 != 0,
            b'u' => stat.mode & 0o4000 != 0,
            b'k' => stat.mode & 0o1000 != 0,
            b'O' | b'G' => stat.own,
            b'N' => stat.mtime > stat.atime,
            _ => false,
        })
    }

    /// Tests two words; in `[[ ]]` numbers are expressions.
    pub(crate) fn binary_test(
        &mut self,
        op: &[u8],
        left: &[u8],
        right: &[u8],
        double: bool,
    ) -> Result<bool, Leave> {
        Ok(match op {
            b"=" | b"==" => left == right,
            b"!=" => left != right,
            b"<" => left < right,
            b">" => left > right,
            b"-nt" | b"-ot" | b"-ef" => {
                let (a, b) = (
                    self.world.tree.stat(&self.cwd, left, true).ok(),
                    self.world.tree.stat(&self.cwd, right, true).ok(),
                );
                match (op, a, b) {
                    (b"-ef", Some(a), Some(b)) => a.ino == b.ino && a.kind == b.kind,
                    (b"-nt", Some(a), Some(b)) => a.mtime > b.mtime,
                    (b"-nt", Some(_), None) => true,
                    (b"-ot", Some(a), Some(b)) => a.mtime < b.mtime,
                    (b"-ot", None, Some(_)) => true,
                    _ => false,
                }
            }
            _ => {
                let (a, b) = if double {
                    (self.evaluate(left, b"[[")?, self.evaluate(right, b"[[")?)
                } else {
                    (self.integer(left)?, self.integer(right)?)
                };
                match op {
                    b"-eq" => a == b,
                    b"-ne" => a != b,
                    b"-lt" => a < b,
                    b"-le" => a <= b,
                    b"-gt" => a > b,
                    _ => a >= b,
                }
            }
        })
    }

    /// A number for `test`.
    fn integer(&mut self, text: &[u8]) -> Result<i64, Leave> {
        let trimmed = text.trim_ascii();
        let parsed =
            std::str::from_utf8(trimmed).ok().and_then(|s| s.strip_prefix('+').unwrap_or(s).parse().ok());
        match parsed {
            Some(value) => Ok(value),
            None => {
                self.complain_bytes(&[b"test: ", text, b": integer expression expected"].concat());
                self.status = 2;
                Err(Leave::Discard)
            }
        }
    }

    fn regex_test(&mut self, text: &[u8], regex: &[u8]) -> Result<bool, Leave> {
        let translated = translate(regex, self.shopt("nocasematch"));
        let compiled = if translated.len() > MAX_REGEX {
            None
        } else {
            regex::bytes::RegexBuilder::new(&translated)
                .unicode(self.is_utf8())
                .size_limit(MAX_REGEX_SIZE)
                .dfa_size_limit(MAX_REGEX_SIZE)
                .dot_matches_new_line(true)
                .build()
                .ok()
        };
        let Some(compiled) = compiled else {
            self.status = 2;
            return Err(Leave::Discard);
        };
        let Some(found) = compiled.captures(text) else {
            self.set_own_array(b"BASH_REMATCH", []);
            return Ok(false);
        };
        let groups: Vec<Vec<u8>> =
            found.iter().map(|group| group.map_or_else(Vec::new, |m| m.as_bytes().to_vec())).collect();
        self.set_own_array(b"BASH_REMATCH", groups);
        Ok(true)
    }
}

/// A POSIX extended expression in the words of the library: what is special in one and not in the other.
fn translate(regex: &[u8], ignore_case: bool) -> String {
    let text = String::from_utf8_lossy(regex);
    let mut out = String::from(if ignore_case { "(?i)" } else { "" });
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' if at + 1 < chars.len() => {
                at += 1;
                match chars[at] {
                    '<' => out.push_str(r"\b{start}"),
                    '>' => out.push_str(r"\b{end}"),
                    c @ ('b' | 'B' | 'w' | 'W' | 's' | 'S') => out.extend(['\\', c]),
                    c if c.is_ascii_alphanumeric() => out.push(c),
                    c => out.push_str(&regex::escape(&c.to_string())),
                }
            }
            '[' => at = bracket(&chars, at, &mut out),
            // A brace that begins no count is itself.
            '{' if !is_count(&chars[at..]) => out.push_str(r"\{"),
            '}' if !closes_count(&chars[..at]) => out.push_str(r"\}"),
            c => out.push(c),
        }
        at += 1;
    }
    out
}

fn is_count(chars: &[char]) -> bool {
    chars.get(1).is_some_and(|c| c.is_ascii_digit() || *c == ',')
        && chars.iter().skip(1).take_while(|c| **c != '}').all(|c| c.is_ascii_digit() || *c == ',')
        && chars.contains(&'}')
}

fn closes_count(chars: &[char]) -> bool {
    chars.iter().rposition(|c| *c == '{').is_some_and(|open| {
        chars[open + 1..].iter().all(|c| c.is_ascii_digit() || *c == ',') && open + 1 < chars.len()
    })
}

/// A bracket expression: a backslash in it is itself, and so is what the library gives a meaning.
fn bracket(chars: &[char], open: usize, out: &mut String) -> usize {
    let mut at = open + 1;
    let mut inner = String::new();
    if chars.get(at) == Some(&'^') {
        inner.push('^');
        at += 1;
    }
    let first = at;
    while let Some(&c) = chars.get(at) {
        match c {
            ']' if at > first => {
                out.push('[');
                out.push_str(&inner);
                out.push(']');
                return at;
            }
            '[' if matches!(chars.get(at + 1), Some(':')) => {
                let end = chars[at..].windows(2).position(|w| w == [':', ']']);
                let Some(end) = end else { break };
                inner.extend(&chars[at..at + end + 2]);
                at += end + 2;
                continue;
            }
            '\\' | '[' | ']' | '&' | '~' => inner.extend(['\\', c]),
            '-' => {
                let is_edge = at == first || chars.get(at + 1) == Some(&']');
                inner.push_str(if is_edge { r"\-" } else { "-" });
            }
            c => inner.push(c),
        }
        at += 1;
    }
    out.push_str(r"\[");
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_keep_their_meaning() {
        for (posix, expected) in [
            ("^v([0-9]+)$", "^v([0-9]+)$"),
            (r"[\d]", r"[\\d]"),
            ("a{x", r"a\{x"),
            ("a{2,3}", "a{2,3}"),
            (r"\.py", r"\.py"),
            ("[[:space:]]*", "[[:space:]]*"),
            ("[]a]", r"[\]a]"),
        ] {
            assert_eq!(translate(posix.as_bytes(), false), expected);
        }
    }
}
