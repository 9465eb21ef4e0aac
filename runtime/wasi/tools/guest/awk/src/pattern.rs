//! Extended regular expressions in the form that the library takes.

use regex::bytes::{Regex, RegexBuilder};

/// Compiles a pattern; one that cannot be is told in words.
pub fn compile(pattern: &[u8]) -> Result<Regex, String> {
    RegexBuilder::new(&translate(pattern))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(16 << 20)
        .build()
        .map_err(|_| format!("regular expression compile failed\n{}", String::from_utf8_lossy(pattern)))
}

fn literal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b' ' {
        out.push(byte as char);
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

fn translate(pattern: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    let mut may_repeat = false;
    while at < pattern.len() {
        let byte = pattern[at];
        at += 1;
        let repeats = std::mem::replace(&mut may_repeat, true);
        match byte {
            b'\\' => {
                let Some(next) = pattern.get(at) else {
                    literal(&mut out, b'\\');
                    break;
                };
                at += 1;
                match next {
                    b'n' => out.push_str("\\n"),
                    b't' => out.push_str("\\t"),
                    b'r' => out.push_str("\\r"),
                    b'f' => out.push_str("\\x0c"),
                    b'v' => out.push_str("\\x0b"),
                    b'a' => out.push_str("\\x07"),
                    b'y' => out.push_str("\\b"),
                    b'B' => out.push_str("\\B"),
                    b'<' => out.push_str("\\b{start}"),
                    b'>' => out.push_str("\\b{end}"),
                    b'w' => out.push_str("[A-Za-z0-9_]"),
                    b'W' => out.push_str("[^A-Za-z0-9_]"),
                    b's' => out.push_str("[ \\t\\n\\r\\x0b\\x0c]"),
                    b'S' => out.push_str("[^ \\t\\n\\r\\x0b\\x0c]"),
                    b'`' => out.push_str("\\A"),
                    b'\'' => out.push_str("\\z"),
                    byte => literal(&mut out, *byte),
                }
            }
            b'[' => match class(&pattern[at..]) {
                Some((text, used)) => {
                    out.push_str(&text);
                    at += used;
                }
                None => literal(&mut out, b'['),
            },
            b'{' => {
                // A brace repeats only if it holds numbers.
                let end = pattern[at..].iter().position(|byte| *byte == b'}');
                let inside = end.map(|end| &pattern[at..at + end]);
                let valid = inside.is_some_and(|inside| {
                    inside.first().is_some_and(u8::is_ascii_digit)
                        && inside.iter().all(|byte| byte.is_ascii_digit() || *byte == b',')
                        && inside.iter().filter(|byte| **byte == b',').count() <= 1
                });
                match (valid && repeats, inside) {
                    (true, Some(inside)) => {
                        out.push('{');
                        out.push_str(&String::from_utf8_lossy(inside));
                        out.push('}');
                        at += inside.len() + 1;
                    }
                    _ => literal(&mut out, b'{'),
                }
            }
            b'*' | b'+' | b'?' => {
                if repeats {
                    // Repeated repetition is one.
                    if !out.ends_with(['*', '+', '?']) || out.ends_with("\\*") {
                        out.push(byte as char);
                    } else if !out.ends_with(byte as char) {
                        out.pop();
                        out.push('*');
                    }
                } else {
                    literal(&mut out, byte);
                }
            }
            b'(' => {
                out.push('(');
                may_repeat = false;
            }
            b'|' => {
                out.push('|');
                may_repeat = false;
            }
            b'^' => {
                out.push('^');
                may_repeat = false;
            }
            b')' => out.push(')'),
            b'$' => out.push('$'),
            b'.' => out.push('.'),
            byte => literal(&mut out, byte),
        }
    }
    out
}

fn class(rest: &[u8]) -> Option<(String, usize)> {
    let mut out = String::from("[");
    let mut at = 0;
    if rest.first() == Some(&b'^') {
        out.push('^');
        at = 1;
    }
    let first = at;
    loop {
        let byte = *rest.get(at)?;
        at += 1;
        match byte {
            b']' if at - 1 > first => break,
            b'[' if rest.get(at) == Some(&b':') => {
                let end = at + 1 + rest[at + 1..].windows(2).position(|pair| pair == b":]")?;
                out.push_str(&format!("[:{}:]", String::from_utf8_lossy(&rest[at + 1..end])));
                at = end + 2;
            }
            b'-' if at - 1 > first
                && rest.get(at).is_some_and(|byte| *byte != b']')
                && !out.ends_with('[')
                && !out.ends_with('^')
                && !out.ends_with(":]") =>
            {
                out.push('-')
            }
            b'\\' => {
                let next = *rest.get(at)?;
                at += 1;
                match next {
                    b'n' => out.push_str("\\n"),
                    b't' => out.push_str("\\t"),
                    b'r' => out.push_str("\\r"),
                    b'w' => out.push_str("A-Za-z0-9_"),
                    b's' => out.push_str(" \\t\\n\\r\\x0b\\x0c"),
                    b'd' => out.push_str("d\\\\"),
                    byte => out.push_str(&format!("\\x{byte:02x}")),
                }
            }
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(']');
    Some((out, at))
}
