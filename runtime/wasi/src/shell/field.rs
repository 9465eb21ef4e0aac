//! Fields as they grow: split where `IFS` says, with what is quoted kept apart from what is a pattern.

use super::pattern;

/// What becomes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Fields: split, and names of files found.
    Fields,
    /// One text, as in an assignment.
    Text,
    /// A pattern, in which a backslash quotes.
    Pattern,
    /// A regular expression, in which a backslash quotes.
    Regex,
}

/// One field.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    pub text: Vec<u8>,
    /// The text as a pattern: what is quoted has backslashes.
    pub pattern: Vec<u8>,
    /// Whether an unquoted part could be a pattern.
    pub special: bool,
}

/// Collects fields.
#[derive(Debug)]
pub(super) struct Fields {
    pub mode: Mode,
    pub done: Vec<Field>,
    pub current: Field,
    /// Whether the current field is one even when it is empty.
    pub started: bool,
    /// Separators.
    pub ifs: Vec<u8>,
    /// Whether white space ended the field before: another separator right behind it belongs to that end.
    after_space: bool,
    /// Bytes of all fields.
    pub size: usize,
}

impl Fields {
    pub(super) fn new(mode: Mode, ifs: Vec<u8>) -> Fields {
        Fields {
            mode,
            done: Vec::new(),
            current: Field::default(),
            started: false,
            ifs,
            after_space: false,
            size: 0,
        }
    }

    /// Text that is a pattern where it looks like one.
    pub(super) fn text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.size += text.len();
        self.started = true;
        self.after_space = false;
        self.current.text.extend_from_slice(text);
        if self.mode != Mode::Text {
            self.current.special |= text.iter().any(|b| b"*?[\\(".contains(b));
            self.current.pattern.extend_from_slice(text);
        }
    }

    /// Text that stands for itself.
    pub(super) fn quoted(&mut self, text: &[u8]) {
        self.size += text.len();
        self.started = true;
        self.after_space = false;
        self.current.text.extend_from_slice(text);
        match self.mode {
            Mode::Fields | Mode::Pattern => pattern::escape_into(&mut self.current.pattern, text),
            Mode::Regex => {
                for &byte in text {
                    if b".[]()*+?{}|^$\\/".contains(&byte) {
                        self.current.pattern.push(b'\\');
                    }
                    self.current.pattern.push(byte);
                }
            }
            Mode::Text => {}
        }
    }

    /// What an unquoted expansion gave.
    pub(super) fn split(&mut self, text: &[u8]) {
        if self.mode != Mode::Fields {
            return self.text(text);
        }
        if self.ifs.is_empty() || !text.iter().any(|b| self.ifs.contains(b)) {
            return self.text(text);
        }
        let mut start = 0;
        for (at, &byte) in text.iter().enumerate() {
            if !self.ifs.contains(&byte) {
                continue;
            }
            let before = &text[start..at];
            start = at + 1;
            self.text(before);
            let space = matches!(byte, b' ' | b'\t' | b'\n');
            if self.started {
                self.end();
                self.after_space = space;
            } else if !space {
                if !self.after_space {
                    self.started = true;
                    self.end();
                }
                self.after_space = false;
            }
        }
        self.text(&text[start..]);
    }

    /// Ends the current field, if it is one.
    pub(super) fn end(&mut self) {
        if self.started {
            self.done.push(std::mem::take(&mut self.current));
            self.started = false;
        }
    }

    /// All fields.
    pub(super) fn finish(mut self) -> Vec<Field> {
        self.end();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(ifs: &str, text: &str) -> Vec<String> {
        let mut fields = Fields::new(Mode::Fields, ifs.into());
        fields.split(text.as_bytes());
        fields.finish().into_iter().map(|f| String::from_utf8(f.text).unwrap()).collect()
    }

    #[test]
    fn separators_split_as_in_posix() {
        assert_eq!(split(" \t\n", "  a  b "), ["a", "b"]);
        assert_eq!(split(":", "a::b:"), ["a", "", "b"]);
        assert_eq!(split(" :", "a : b"), ["a", "b"]);
        assert_eq!(split(":", ":a"), ["", "a"]);
        assert_eq!(split("", "a b"), ["a b"]);
    }
}
