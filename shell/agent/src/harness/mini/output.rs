//! An action's output as Python's `subprocess` with `text=True` gives it, and its lines as `str.splitlines` finds them.

use sbx_runtime::Observation;

/// Standard output and error in the order of writing; every kind of line end is `\n` (universal newlines).
pub(super) fn text(seen: &Observation) -> String {
    let text = seen.stdout.text() + &seen.stderr.text();
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// The first line, and what follows its end.
pub(super) fn first_line(text: &str) -> (&str, &str) {
    /// What ends a line for `str.splitlines`.
    const ENDS: [char; 10] =
        ['\n', '\u{b}', '\u{c}', '\r', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    match text.find(ENDS) {
        None => (text, ""),
        Some(at) => {
            let (first, rest) = text.split_at(at);
            let end =
                if rest.starts_with("\r\n") { 2 } else { rest.chars().next().map_or(0, char::len_utf8) };
            (first, &rest[end..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_python_says() {
        for (text, expected) in [
            ("", ("", "")),
            ("a", ("a", "")),
            ("a\nb\n", ("a", "b\n")),
            ("a\r\nb", ("a", "b")),
            ("a\u{2028}b", ("a", "b")),
            ("\n", ("", "")),
        ] {
            assert_eq!(first_line(text), expected);
        }
    }
}
