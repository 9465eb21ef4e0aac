//! Quoting: reading escapes, and writing text so that a shell reads it again.

/// What a backslash's letter stands for in `$'…'`, `printf` and `echo -e`.
fn letter(byte: u8) -> Option<u8> {
    Some(match byte {
        b'a' => 7,
        b'b' => 8,
        b'e' | b'E' => 27,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        _ => return None,
    })
}

/// A number of up to `most` digits: its value and length.
fn digits(text: &[u8], base: u32, most: usize) -> (u32, usize) {
    let mut value = 0u32;
    let mut length = 0;
    while length < most
        && let Some(digit) = text.get(length).and_then(|b| char::from(*b).to_digit(base))
    {
        value = value.wrapping_mul(base).wrapping_add(digit);
        length += 1;
    }
    (value, length)
}

/// The digits after `\x`, `\u` or `\U`, whose letter is at `at`: their value and length.
fn hexadecimal(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let most = match text[at] {
        b'x' => 2,
        b'u' => 4,
        _ => 8,
    };
    Some(digits(&text[at + 1..], 16, most)).filter(|(_, length)| *length > 0)
}

/// Writes the byte or the character of such a number, or the escape itself when it has none. Returns how many digits
/// there were.
fn push_number(out: &mut Vec<u8>, letter: u8, number: Option<(u32, usize)>) -> usize {
    match number {
        None => out.extend_from_slice(&[b'\\', letter]),
        Some((value, _)) if letter == b'x' => out.push(value as u8),
        Some((value, _)) => push_char(out, value),
    }
    number.map_or(0, |(_, length)| length)
}

fn push_char(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push(b'?'),
    }
}

/// The text of `$'…'`.
pub(crate) fn ansi(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' || at + 1 == text.len() {
            out.push(text[at]);
            at += 1;
            continue;
        }
        at += 1;
        let byte = text[at];
        match byte {
            b'\'' | b'"' | b'?' => out.push(byte),
            b'x' | b'u' | b'U' => match hexadecimal(text, at) {
                // The text ends at a NUL.
                Some((0, _)) if byte == b'x' => return out,
                number => at += push_number(&mut out, byte, number),
            },
            b'0'..=b'7' => {
                let (value, length) = digits(&text[at..], 8, 3);
                if value & 0xFF == 0 {
                    return out;
                }
                out.push(value as u8);
                at += length - 1;
            }
            b'c' if at + 1 < text.len() => {
                at += 1;
                out.push(text[at].to_ascii_uppercase() & 0x1F);
            }
            _ => match letter(byte) {
                Some(value) => out.push(value),
                None => out.extend_from_slice(&[b'\\', byte]),
            },
        }
        at += 1;
    }
    out
}

/// The text of `echo -e` and `%b`, and whether `\c` ended all output.
pub(crate) fn echo(text: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' || at + 1 == text.len() {
            out.push(text[at]);
            at += 1;
            continue;
        }
        at += 1;
        let byte = text[at];
        match byte {
            b'c' => return (out, true),
            b'0' => {
                let (value, length) = digits(&text[at + 1..], 8, 3);
                out.push(value as u8);
                at += length;
            }
            b'1'..=b'7' => {
                // Only `%b` knows these; `echo -e` of bash too, in fact, wants a zero first.
                out.extend_from_slice(&[b'\\', byte]);
            }
            b'x' | b'u' | b'U' => at += push_number(&mut out, byte, hexadecimal(text, at)),
            _ => match letter(byte) {
                Some(value) => out.push(value),
                None => out.extend_from_slice(&[b'\\', byte]),
            },
        }
        at += 1;
    }
    (out, false)
}

/// One escape of a `printf` format, behind the backslash: its bytes and length.
pub(crate) fn format(text: &[u8]) -> (Vec<u8>, usize) {
    match text.first() {
        None => (b"\\".to_vec(), 0),
        Some(b'x') => {
            let (value, length) = digits(&text[1..], 16, 2);
            if length == 0 { (b"\\x".to_vec(), 1) } else { (vec![value as u8], length + 1) }
        }
        Some(b'0'..=b'7') => {
            let (value, length) = digits(text, 8, 3);
            (vec![value as u8], length)
        }
        Some(byte @ (b'u' | b'U')) => {
            let (value, length) = digits(&text[1..], 16, if *byte == b'u' { 4 } else { 8 });
            let mut out = Vec::new();
            if length == 0 {
                return (vec![b'\\', *byte], 1);
            }
            push_char(&mut out, value);
            (out, length + 1)
        }
        Some(b'"') => (b"\"".to_vec(), 1),
        Some(b'\'') => (b"'".to_vec(), 1),
        Some(byte) => match letter(*byte) {
            Some(value) => (vec![value], 1),
            None => (vec![b'\\', *byte], 1),
        },
    }
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(|b| *b < 32 || *b == 127) || std::str::from_utf8(text).is_err()
}

/// `$'…'` for a text.
pub(crate) fn ansi_quoted(text: &[u8]) -> Vec<u8> {
    let mut out = b"$'".to_vec();
    let valid = std::str::from_utf8(text).is_ok();
    for &byte in text {
        match byte {
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            27 => out.extend_from_slice(b"\\E"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            11 => out.extend_from_slice(b"\\v"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\'' => out.extend_from_slice(b"\\'"),
            byte if byte < 32 || byte == 127 || (byte >= 128 && !valid) => {
                out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
    out
}

/// `'…'` for a text, as `${x@Q}` and `set` give it.
pub(crate) fn single_quoted(text: &[u8]) -> Vec<u8> {
    if has_control(text) {
        return ansi_quoted(text);
    }
    let mut out = b"'".to_vec();
    for &byte in text {
        if byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
    out
}

/// `"…"` for a text, as `declare -p` gives it.
pub(crate) fn double_quoted(text: &[u8]) -> Vec<u8> {
    if has_control(text) {
        return ansi_quoted(text);
    }
    let mut out = b"\"".to_vec();
    for &byte in text {
        if b"$`\"\\".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

/// A text with backslashes, as `printf %q` gives it.
pub(crate) fn backslashed(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return b"''".to_vec();
    }
    if has_control(text) {
        return ansi_quoted(text);
    }
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let special = b" \t\n'\"\\|&;()<>!{}*[]?^$`,".contains(&byte)
            || (byte == b'#' && at == 0)
            || (byte == b'~' && (at == 0 || matches!(text[at - 1], b':' | b'=')));
        if special {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

/// Whether a text needs quotes to be read again.
pub(crate) fn is_special(text: &[u8]) -> bool {
    text.is_empty()
        || text.iter().enumerate().any(|(at, b)| {
            b" \t\n'\"\\|&;()<>!{}*[]?^$`".contains(b)
                || (*b == b'#' && at == 0)
                || (*b == b'~' && (at == 0 || matches!(text[at - 1], b':' | b'=')))
        })
}

/// A word of `set -x`.
pub(crate) fn traced(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return b"''".to_vec();
    }
    if has_control(text) {
        return ansi_quoted(text);
    }
    if is_special(text) {
        return single_quoted(text);
    }
    text.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        assert_eq!(ansi(br"a\tb\x41\101\u00e9\'\cA\q"), "a\tbAA\u{e9}'\u{1}\\q".as_bytes());
        assert_eq!(echo(br"a\0101\nb\cd"), (b"aA\nb".to_vec(), true));
    }

    #[test]
    fn texts_are_written_so_that_they_can_be_read() {
        assert_eq!(single_quoted(b"it's"), b"'it'\\''s'");
        assert_eq!(double_quoted(b"a$b"), b"\"a\\$b\"");
        assert_eq!(backslashed(b"a b"), b"a\\ b");
        assert_eq!(backslashed(b"a\nb"), b"$'a\\nb'");
    }
}
