//! Why a script could not be read.

/// Why a script could not be read, in bash's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// A token that cannot stand where it does.
    Unexpected { token: Vec<u8>, line: u32 },
    /// The script ends within a command.
    End { line: u32 },
    /// A quote or bracket is not closed.
    Unclosed { wanted: u8, line: u32 },
    /// Something else, in its own words.
    Other { message: String, line: u32, near: Option<Vec<u8>> },
    /// Nested deeper than can be read.
    Depth { line: u32 },
}

impl SyntaxError {
    /// The one line that bash prints on a terminal.
    pub(crate) fn line(&self, origin: &str) -> Vec<u8> {
        let lines = self.lines("", b"");
        let first = lines.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
        let message = first.windows(2).position(|w| w == b": ").map_or(first, |at| &first[at + 2..]);
        [origin.as_bytes(), b": ", message].concat()
    }

    /// The lines that bash prints: `origin` is `bash: -c:`, `bash: eval:` or a script's name.
    pub(crate) fn lines(&self, origin: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut say = |line: u32, message: &[u8]| {
            out.extend_from_slice(format!("{origin} line {line}: ").as_bytes());
            out.extend_from_slice(message);
            out.push(b'\n');
        };
        let echo = |line: u32| {
            let found = text.split(|b| *b == b'\n').nth(line.saturating_sub(1) as usize).unwrap_or_default();
            [b"`", found, b"'"].concat()
        };
        match self {
            SyntaxError::Unexpected { token, line } => {
                let token: &[u8] = if token == b"\n" { b"newline" } else { token };
                say(*line, &[b"syntax error near unexpected token `", token, b"'"].concat());
                say(*line, &echo(*line));
            }
            SyntaxError::End { line } => say(*line, b"syntax error: unexpected end of file"),
            SyntaxError::Unclosed { wanted, line } => {
                say(*line, &[b"unexpected EOF while looking for matching `", &[*wanted][..], b"'"].concat());
            }
            SyntaxError::Other { message, line, near } => {
                say(*line, message.as_bytes());
                if let Some(near) = near {
                    say(*line, &[b"syntax error near `", &near[..], b"'"].concat());
                    say(*line, &echo(*line));
                }
            }
            SyntaxError::Depth { line } => say(*line, b"syntax error: commands are nested too deeply"),
        }
        out
    }
}
