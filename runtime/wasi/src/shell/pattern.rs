//! Patterns: `*`, `?`, `[…]` and the extended `@(…)`, matched against bytes.

/// Steps after which a match is given up: `+(*a)` against a long text takes for ever.
const MAX_STEPS: u64 = 4_000_000;
/// Groups within groups, and repetitions of one, at most: each is a level of the stack.
const MAX_NESTED: u32 = 4_000;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// `@(…)` and its like.
    pub extended: bool,
    /// Letters of either case match.
    pub ignore_case: bool,
    /// `?` and brackets take a whole character of UTF-8.
    pub utf8: bool,
}

/// Whether a pattern, in which a backslash quotes what follows, matches all of a text.
pub(crate) fn matches(pattern: &[u8], text: &[u8], rules: Rules) -> bool {
    Matcher { rules, steps: 0, nested: 0 }.whole(pattern, text)
}

/// Whether something in it is no plain text.
pub(crate) fn is_pattern(pattern: &[u8], rules: Rules) -> bool {
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        match byte {
            b'\\' => at += 1,
            b'*' | b'?' => return true,
            b'[' if pattern[at..].contains(&b']') => return true,
            b'+' | b'@' | b'!' if rules.extended && pattern.get(at + 1) == Some(&b'(') => return true,
            _ => {}
        }
        at += 1;
    }
    false
}

/// The text that a pattern without special characters stands for.
pub(crate) fn unescape(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        if byte == b'\\' && at + 1 < pattern.len() {
            at += 1;
        }
        out.push(pattern[at]);
        at += 1;
    }
    out
}

/// Quotes all special characters.
pub(crate) fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if b"*?[]\\()|+@!-^&".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Length in bytes of the character at the beginning of a text; 1 when it is none.
pub(crate) fn char_len(text: &[u8]) -> usize {
    let length = match text.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => return 1,
    };
    let is_whole = text.len() >= length && std::str::from_utf8(&text[..length]).is_ok();
    if is_whole { length } else { 1 }
}

struct Matcher {
    rules: Rules,
    steps: u64,
    nested: u32,
}

impl Matcher {
    fn whole(&mut self, pattern: &[u8], text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        // Where to go on when what follows the last `*` does not match: the star, and how much it has taken.
        let mut star: Option<(usize, usize)> = None;
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return false;
            }
            if p < pattern.len() {
                if let Some((alternatives, rest)) = self.group(&pattern[p..]) {
                    self.steps += rest as u64 / 8;
                    if self.extended(pattern[p], &alternatives, &pattern[p + rest..], &text[t..]) {
                        return true;
                    }
                } else if pattern[p] == b'*' {
                    star = Some((p, t));
                    p += 1;
                    continue;
                } else if t < text.len()
                    && let Some((used, length)) = self.one(&pattern[p..], &text[t..])
                {
                    p += used;
                    t += length;
                    continue;
                }
            } else if t == text.len() {
                return true;
            }
            match star {
                Some((at, taken)) if taken < text.len() => {
                    let next = taken + if self.rules.utf8 { char_len(&text[taken..]) } else { 1 };
                    star = Some((at, next));
                    p = at + 1;
                    t = next;
                }
                _ => return false,
            }
        }
    }

    /// One character: how much of pattern and text it takes.
    fn one(&self, pattern: &[u8], text: &[u8]) -> Option<(usize, usize)> {
        let length = if self.rules.utf8 { char_len(text) } else { 1 };
        match pattern[0] {
            b'?' => Some((1, length)),
            b'[' => match self.bracket(pattern, &text[..length]) {
                Some((used, true)) => Some((used, length)),
                Some((_, false)) => None,
                None => (text[0] == b'[').then_some((1, 1)),
            },
            b'\\' if pattern.len() > 1 => self.same(pattern[1], text[0]).then_some((2, 1)),
            byte => self.same(byte, text[0]).then_some((1, 1)),
        }
    }

    fn same(&self, a: u8, b: u8) -> bool {
        a == b || self.rules.ignore_case && a.eq_ignore_ascii_case(&b)
    }

    /// A bracket expression: its length in the pattern, and whether the character is in it. `None`: it is not closed.
    fn bracket(&self, pattern: &[u8], character: &[u8]) -> Option<(usize, bool)> {
        let mut at = 1;
        let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
        at += usize::from(negated);
        let wanted = code(character);
        let mut found = false;
        let mut first = true;
        loop {
            let byte = *pattern.get(at)?;
            if byte == b']' && !first {
                return Some((at + 1, found != negated));
            }
            first = false;
            if byte == b'['
                && pattern.get(at + 1) == Some(&b':')
                && let Some(end) = pattern[at + 2..].windows(2).position(|w| w == b":]")
            {
                found |= self.is_class(&pattern[at + 2..at + 2 + end], wanted);
                at += end + 4;
                continue;
            }
            let (low, used) = element(&pattern[at..], self.rules.utf8)?;
            at += used;
            let is_range = pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']');
            let high = if is_range {
                let (high, used) = element(&pattern[at + 1..], self.rules.utf8)?;
                at += 1 + used;
                high
            } else {
                low
            };
            found |= (low..=high).contains(&wanted);
            if self.rules.ignore_case {
                let other = swap_case(wanted);
                found |= (low..=high).contains(&other);
            }
        }
    }

    fn is_class(&self, name: &[u8], code: u32) -> bool {
        let Some(c) = char::from_u32(code) else { return false };
        let either = |a: bool, b: bool| if self.rules.ignore_case { a || b } else { a };
        match name {
            b"alpha" => c.is_alphabetic(),
            b"digit" => c.is_ascii_digit(),
            b"alnum" => c.is_alphanumeric(),
            b"upper" => either(c.is_uppercase(), c.is_lowercase()),
            b"lower" => either(c.is_lowercase(), c.is_uppercase()),
            b"space" => c.is_whitespace(),
            b"blank" => c == ' ' || c == '\t',
            b"punct" => c.is_ascii_punctuation(),
            b"cntrl" => c.is_control(),
            b"print" => !c.is_control(),
            b"graph" => !c.is_control() && !c.is_whitespace(),
            b"xdigit" => c.is_ascii_hexdigit(),
            b"word" => c.is_alphanumeric() || c == '_',
            b"ascii" => c.is_ascii(),
            _ => false,
        }
    }

    /// The alternatives of an extended pattern at the beginning, and its length.
    fn group<'a>(&self, pattern: &'a [u8]) -> Option<(Vec<&'a [u8]>, usize)> {
        if !self.rules.extended || !b"?*+@!".contains(&pattern[0]) || pattern.get(1) != Some(&b'(') {
            return None;
        }
        let (mut depth, mut at, mut start) = (1, 2, 2);
        let mut alternatives = Vec::new();
        while depth > 0 {
            match pattern.get(at)? {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        alternatives.push(&pattern[start..at]);
                    }
                }
                b'|' if depth == 1 => {
                    alternatives.push(&pattern[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        Some((alternatives, at))
    }

    fn extended(&mut self, kind: u8, alternatives: &[&[u8]], rest: &[u8], text: &[u8]) -> bool {
        if self.nested >= MAX_NESTED {
            self.steps = MAX_STEPS;
            return false;
        }
        self.nested += 1;
        let fits = self.extended_within(kind, alternatives, rest, text);
        self.nested -= 1;
        fits
    }

    fn extended_within(&mut self, kind: u8, alternatives: &[&[u8]], rest: &[u8], text: &[u8]) -> bool {
        let any = |m: &mut Matcher, part: &[u8]| alternatives.iter().any(|a| m.whole(a, part));
        if matches!(kind, b'?' | b'*') && self.whole(rest, text) {
            return true;
        }
        for end in 0..=text.len() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return false;
            }
            let (part, left) = text.split_at(end);
            let fits = match kind {
                b'!' => !any(self, part),
                _ => any(self, part),
            };
            if !fits {
                continue;
            }
            if self.whole(rest, left) {
                return true;
            }
            if matches!(kind, b'*' | b'+') && end > 0 && self.extended(b'*', alternatives, rest, left) {
                return true;
            }
        }
        false
    }
}

/// The code of a character; of what is none, its byte.
fn code(character: &[u8]) -> u32 {
    match std::str::from_utf8(character).ok().and_then(|s| s.chars().next()) {
        Some(c) => u32::from(c),
        None => u32::from(character[0]),
    }
}

fn swap_case(code: u32) -> u32 {
    match u8::try_from(code) {
        Ok(b) if b.is_ascii_lowercase() => u32::from(b.to_ascii_uppercase()),
        Ok(b) if b.is_ascii_uppercase() => u32::from(b.to_ascii_lowercase()),
        _ => code,
    }
}

/// One element of a bracket expression, and its length.
fn element(pattern: &[u8], utf8: bool) -> Option<(u32, usize)> {
    match pattern.first()? {
        b'\\' if pattern.len() > 1 => Some((code(&pattern[1..2]), 2)),
        b'[' if matches!(pattern.get(1), Some(b'.' | b'=')) => {
            let mark = [pattern[1], b']'];
            let end = pattern[2..].windows(2).position(|w| w == mark)?;
            Some((code(&pattern[2..2 + end.max(1)]), end + 4))
        }
        _ => {
            let length = if utf8 { char_len(pattern) } else { 1 };
            Some((code(&pattern[..length]), length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { extended: true, ignore_case: false, utf8: true };

    #[test]
    fn patterns_match_as_in_bash() {
        for (pattern, text, expected) in [
            ("*.py", "a.py", true),
            ("*.py", "a.pyc", false),
            ("a*b*c", "aXbYbZc", true),
            ("[a-c]?", "bé", true),
            ("[!a-c]", "b", false),
            ("[]x]", "]", true),
            ("[[:digit:]]*", "7z", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("@(a|b)c", "bc", true),
            ("!(a|b)", "c", true),
            ("!(a|b)", "a", false),
            ("+(ab)", "abab", true),
            ("*(ab)c", "c", true),
            ("?(a)b", "b", true),
            ("*.!(txt)", "a.py", true),
            ("[", "[", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), RULES), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_given_up() {
        assert!(!matches(b"+(+(+(a)))b", &[b'a'; 200], RULES));
        assert!(!matches(&b"*a".repeat(200), &[b'b'; 4000], RULES));
    }
}
