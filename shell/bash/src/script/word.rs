//! What a word says literally, and which scripts it runs: `$(…)` and backquotes, wherever they stand in it.
//!
//! It is read once from left to right, with a stack of what is open. A grammar would be shorter, but those of shell words
//! backtrace: a few dozen bytes such as `${a[${a[…` keep them busy for ever.

/// A word, or the body of an unquoted heredoc.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The word without its quotes, or `None` when it depends on something.
    pub literal: Option<String>,
    /// Scripts that it runs.
    pub scripts: Vec<String>,
}

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word of a command.
    Word,
    /// The body of an unquoted heredoc: quotes are plain text.
    Heredoc,
    /// An arithmetic expression.
    Arithmetic,
}

/// What is open at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// A word, or a script in `$(…)` or `(…)`.
    Script,
    /// `"…"`
    Quotes,
    /// A heredoc's body.
    Body,
    /// `${…}`, within double quotes or not.
    Parameter { quoted: bool },
    /// `$((…))`, or a parenthesis in it.
    Arithmetic,
}

/// Reads a word; `None` when something in it is not closed.
pub(super) fn scan(text: &str, kind: Kind) -> Option<Scan> {
    let base = match kind {
        Kind::Word => Open::Script,
        Kind::Heredoc => Open::Body,
        Kind::Arithmetic => Open::Arithmetic,
    };
    let bytes = text.as_bytes();
    let (mut scripts, mut literal, mut whole) = (Vec::new(), Vec::new(), kind != Kind::Arithmetic);
    let mut open = vec![base];
    whole &= !(kind == Kind::Word && bytes.first() == Some(&b'~'));
    let mut at = 0;
    while at < bytes.len() {
        let top = *open.last()?;
        match (top, bytes[at]) {
            (Open::Script, b'\\') => {
                literal.extend(bytes.get(at + 1).filter(|b| **b != b'\n'));
                at += 2;
            }
            (_, b'\\') => {
                let next = bytes.get(at + 1).copied();
                let escapes =
                    matches!(next, Some(b'$' | b'`' | b'\\')) || (next == Some(b'"') && top == Open::Quotes);
                literal.extend((!escapes).then_some(b'\\'));
                literal.extend(next);
                at += 2;
            }
            (Open::Script | Open::Parameter { quoted: false }, b'\'') => {
                let end = find(bytes, at + 1, b'\'')?;
                literal.extend(&bytes[at + 1..end]);
                at = end + 1;
            }
            (Open::Script, b'$') if bytes.get(at + 1) == Some(&b'\'') => {
                let end = end_of_escaped(bytes, at + 2, b'\'')?;
                // Its escapes are many and rare: only a text without any counts as literal.
                whole &= !bytes[at + 2..end].contains(&b'\\');
                literal.extend(&bytes[at + 2..end]);
                at = end + 1;
            }
            (Open::Quotes, b'"') => {
                open.pop();
                at += 1;
            }
            (Open::Script | Open::Parameter { .. }, b'"') => {
                open.push(Open::Quotes);
                at += 1;
            }
            (Open::Parameter { .. }, b'}') => {
                open.pop();
                at += 1;
            }
            (Open::Arithmetic, b'(') => {
                open.push(Open::Arithmetic);
                at += 1;
            }
            (Open::Arithmetic, b')') if open.len() > 1 => {
                open.pop();
                at += 1;
            }
            (_, b'`') => {
                let end = end_of_escaped(bytes, at + 1, b'`')?;
                scripts.push(unescaped(&text[at + 1..end]));
                whole = false;
                at = end + 1;
            }
            (_, b'$') => match bytes.get(at + 1) {
                Some(b'(') if is_arithmetic(bytes, at) => {
                    open.extend([Open::Arithmetic; 2]);
                    whole = false;
                    at += 3;
                }
                Some(b'(') => {
                    let end = end_of(bytes, at + 2, Open::Script)?;
                    scripts.push(text[at + 2..end].into());
                    whole = false;
                    at = end + 1;
                }
                Some(b'{') => {
                    let quoted = matches!(top, Open::Quotes | Open::Body | Open::Parameter { quoted: true });
                    open.push(Open::Parameter { quoted });
                    whole = false;
                    at += 2;
                }
                next => {
                    let names = |b: &u8| b.is_ascii_alphanumeric() || b"_@*#?-$!".contains(b);
                    whole &= !next.is_some_and(names);
                    literal.push(b'$');
                    at += 1;
                }
            },
            (_, byte) => {
                literal.push(byte);
                at += 1;
            }
        }
    }
    let literal = if whole { String::from_utf8(literal).ok() } else { None };
    (open.len() == 1).then_some(Scan { literal, scripts })
}

/// Whether the `$((` at a place is closed by `))`: otherwise a subshell begins a script.
fn is_arithmetic(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 2) == Some(&b'(')
        && end_of(bytes, at + 3, Open::Arithmetic).is_some_and(|end| bytes.get(end + 1) == Some(&b')'))
}

/// Where what is open at a place ends.
fn end_of(bytes: &[u8], mut at: usize, first: Open) -> Option<usize> {
    let mut open = vec![first];
    let mut heredocs: Vec<(Vec<u8>, bool)> = Vec::new();
    while at < bytes.len() {
        let top = *open.last()?;
        match (top, bytes[at]) {
            (_, b'\\') => at += 1,
            (Open::Script | Open::Parameter { quoted: false }, b'\'') => at = find(bytes, at + 1, b'\'')?,
            (_, b'`') => at = end_of_escaped(bytes, at + 1, b'`')?,
            (Open::Quotes, b'"') => drop(open.pop()),
            (Open::Script | Open::Parameter { .. }, b'"') => open.push(Open::Quotes),
            (_, b'$') if bytes[at..].starts_with(b"$((") => {
                open.extend([Open::Arithmetic; 2]);
                at += 2;
            }
            (_, b'$') if bytes[at..].starts_with(b"$(") => {
                open.push(Open::Script);
                at += 1;
            }
            (_, b'$') if bytes[at..].starts_with(b"${") => {
                open.push(Open::Parameter { quoted: matches!(top, Open::Quotes) });
                at += 1;
            }
            (Open::Parameter { .. }, b'}') => drop(open.pop()),
            (Open::Script | Open::Arithmetic, b'(') => open.push(top),
            (Open::Script | Open::Arithmetic, b')') => {
                open.pop();
                if open.is_empty() {
                    return Some(at);
                }
            }
            (Open::Script, b'#') if at == 0 || b" \t\n;&|(".contains(&bytes[at - 1]) => {
                // The line's end is looked at next: a heredoc may begin after it.
                at = find(bytes, at, b'\n')? - 1;
            }
            (Open::Script, b'<') if bytes[at..].starts_with(b"<<<") => at += 2,
            (Open::Script, b'<') if bytes[at..].starts_with(b"<<") => {
                let tabs = bytes.get(at + 2) == Some(&b'-');
                let (tag, end) = heredoc_tag(bytes, at + 2 + usize::from(tabs));
                heredocs.push((tag, tabs));
                at = end - 1;
            }
            (Open::Script, b'\n') => {
                for (tag, tabs) in heredocs.drain(..) {
                    at = end_of_heredoc(bytes, at + 1, &tag, tabs)?;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The word after `<<`, without its quotes, and where it ends.
fn heredoc_tag(bytes: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    let mut tag = Vec::new();
    while let Some(byte) = bytes.get(at).filter(|b| !b" \t\n;&|<>()".contains(b)) {
        if !b"'\"\\".contains(byte) {
            tag.push(*byte);
        }
        at += 1;
    }
    (tag, at)
}

/// The end of the line that closes a heredoc whose body begins at a place: its line feed, or the last byte.
fn end_of_heredoc(bytes: &[u8], mut at: usize, tag: &[u8], tabs: bool) -> Option<usize> {
    loop {
        let end = find(bytes, at, b'\n').unwrap_or(bytes.len());
        let mut line = bytes.get(at..end)?;
        while tabs && line.first() == Some(&b'\t') {
            line = &line[1..];
        }
        if line == tag {
            return Some(end);
        }
        if end == bytes.len() {
            return None;
        }
        at = end + 1;
    }
}

fn find(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    Some(from + bytes.get(from..)?.iter().position(|b| *b == byte)?)
}

/// As [`find`], for a byte that a backslash can hide.
fn end_of_escaped(bytes: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            found if *found == byte => return Some(at),
            _ => at += 1,
        }
    }
}

/// The script between backquotes, where a backslash hides `$`, a backquote and itself.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(|next| "$`\\".contains(*next)) => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off_and_what_depends_on_something_is_no_literal() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("a'b c'\"d e\"", Some("ab cd e")),
            ("\\g\\it", Some("git")),
            ("\"a\\\"b\\n\"", Some("a\"b\\n")),
            ("'$x `y`'", Some("$x `y`")),
            ("$'a b'", Some("a b")),
            ("$'a\\n'", None),
            ("cost$", Some("cost$")),
            ("a~b", Some("a~b")),
            ("ä'ö'", Some("äö")),
            ("~/x", None),
            ("a$b", None),
            ("\"${x}\"", None),
            ("$((1 + (2)))", None),
            ("x$1", None),
        ] {
            assert_eq!(scan(text, Kind::Word).unwrap().literal.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn scripts_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("$(a)", &["a"][..]),
            ("x`b`y", &["b"]),
            ("`a \\`b\\``", &["a `b`"]),
            ("\"$(a \")\" '\"')\"", &["a \")\" '\"'"]),
            ("\"it's $(a)\"", &["a"]),
            ("${x:-$(a)}", &["a"]),
            ("\"${x:-it's $(a)}\"", &["a"]),
            ("${x[$(a)]/`b`/\"$(c)\"}", &["a", "b", "c"]),
            ("$(( $(a) + (1 << 2) ))$(b)", &["a", "b"]),
            ("$((a); b)", &["(a); b"]),
            ("$(a $(b))", &["a $(b)"]),
            ("$(a # it's )\n b)", &["a # it's )\n b"]),
            ("$(cat <<'E'\nDon't (\nE\n)", &["cat <<'E'\nDon't (\nE\n"]),
            ("$(cat <<-E <<F\n\t(\n\tE\n)\nF\n)", &["cat <<-E <<F\n\t(\n\tE\n)\nF\n"]),
            ("'$(a)'", &[]),
            ("\\$(a", &[]),
        ] {
            assert_eq!(scan(text, Kind::Word).unwrap().scripts, expected, "{text}");
        }
        assert_eq!(scan("'$(a)' \"`b`\" \\$(c)", Kind::Heredoc).unwrap().scripts, ["a", "b"]);
    }

    #[test]
    fn what_is_not_closed_is_no_word_and_nothing_panics() {
        for text in
            ["$(", "`", "'", "\"", "${x", "$((1", "$(a", "$(cat <<E\nx)", "$(a #", "$'", "\"$(\"", "`\\"]
        {
            assert_eq!(scan(text, Kind::Word), None, "{text}");
        }
        let mut random = 1u64;
        for _ in 0..20_000 {
            let text: String = (0..24)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    char::from(b"$(){}'\"`\\<<E\n#[ a~"[(random >> 33) as usize % 18])
                })
                .collect();
            for kind in [Kind::Word, Kind::Heredoc, Kind::Arithmetic] {
                scan(&text, kind);
            }
        }
    }
}
