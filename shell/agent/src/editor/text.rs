//! What a file holds, as a text whose lines end with `\n`, and the way back to its own bytes.
//!
//! The originals read any line end and show blanks for tabs (SWE-agent), and write what they showed; here a file keeps
//! its encoding, its line ends, and its tabs where nothing was replaced.

use std::borrow::Cow;

/// Columns of a tab where one is shown.
const TAB: usize = 8;

/// The text of a file.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    /// Whether every line of the file ends with `\r\n`.
    is_dos: bool,
    /// Whether each byte is a character: the file is not UTF-8.
    is_latin: bool,
}

impl Text {
    pub(super) fn of(bytes: &[u8]) -> Text {
        let utf8 = std::str::from_utf8(bytes);
        let text = utf8.map_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect(), str::to_string);
        let count = |what: &str| text.matches(what).count();
        let ends = count("\r\n");
        let is_dos = ends > 0 && ends == count("\n") && ends == count("\r");
        let text = if is_dos { text.replace("\r\n", "\n") } else { text };
        Text { text, is_dos, is_latin: utf8.is_err() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What a model gave, with this text's line ends.
    pub(super) fn fitted<'a>(&self, given: &'a str) -> Cow<'a, str> {
        if self.is_dos { given.replace("\r\n", "\n").into() } else { given.into() }
    }

    /// What the file holds when it has another text.
    ///
    /// # Errors
    /// A character is none of the file's encoding; the message is Python's.
    pub(super) fn bytes_of(&self, text: &str) -> Result<Vec<u8>, String> {
        let text = if self.is_dos { text.replace('\n', "\r\n") } else { text.to_string() };
        if !self.is_latin {
            return Ok(text.into_bytes());
        }
        let byte = |(at, c): (usize, char)| {
            let code = u32::from(c);
            u8::try_from(code).map_err(|_| {
                let escape = if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                format!("'latin-1' codec can't encode character '{escape}' in position {at}: ordinal not in range(256)")
            })
        };
        text.chars().enumerate().map(byte).collect()
    }
}

/// Where one text is in another.
pub(super) enum Place {
    Nowhere,
    At(usize),
    Several,
}

pub(super) fn place(text: &str, part: &str) -> Place {
    let mut found = text.match_indices(part);
    match (found.next(), found.next()) {
        (None, _) => Place::Nowhere,
        (Some((at, _)), None) => Place::At(at),
        _ => Place::Several,
    }
}

/// A text with blanks for its tabs, as Python's `expandtabs` has it.
pub(super) fn expanded(text: &str) -> String {
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let blanks = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            _ => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    out
}

/// A text up to a place in its expanded form, and from there on. A tab around the place becomes blanks.
pub(super) fn parted(text: &str, at: usize) -> (String, String) {
    let (mut shown, mut column) = (0, 0);
    for (here, c) in text.char_indices() {
        let width = if c == '\t' { TAB - column % TAB } else { c.len_utf8() };
        if shown + width > at {
            let blanks = |n: usize| " ".repeat(n);
            let (before, after) = (&text[..here], &text[here..]);
            if shown == at {
                return (before.into(), after.into());
            }
            return (before.to_string() + &blanks(at - shown), blanks(shown + width - at) + &after[1..]);
        }
        shown += width;
        column = match c {
            '\t' => column + width,
            '\n' | '\r' => 0,
            _ => column + 1,
        };
    }
    (text.into(), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parted_at_every_place_of_its_expanded_form() {
        let text = "a\tb\n\té\t\tx\r\n\t";
        let whole = expanded(text);
        for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let (before, after) = parted(text, at);
            assert_eq!(expanded(&before), whole[..at], "{at}");
            assert_eq!(expanded(&(before.clone() + &after)), whole, "{at}");
            assert!(text.starts_with(before.trim_end_matches(' ')), "{at}");
        }
    }

    #[test]
    fn a_file_keeps_its_line_ends_and_its_encoding() {
        for bytes in [&b"a\r\nb\r\n"[..], b"a\nb\r\n", b"a\rb\r\n", b"caf\xe9\r\n", "é\n".as_bytes(), b""] {
            let text = Text::of(bytes);
            assert_eq!(text.bytes_of(text.as_str()).unwrap(), bytes);
        }
        assert_eq!(Text::of(b"a\r\nb").as_str(), "a\nb");
        let error = Text::of(b"\xe9").bytes_of("a\u{65e5}").unwrap_err();
        assert_eq!(
            error,
            "'latin-1' codec can't encode character '\\u65e5' in position 1: ordinal not in range(256)"
        );
    }
}
