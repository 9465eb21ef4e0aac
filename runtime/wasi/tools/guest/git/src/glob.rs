//! Patterns of ignore files, attributes and pathspecs.

/// Whether a pattern matches a text. With `paths`, `*` and `?` stop at a slash and `**` does not.
pub fn matches(pattern: &[u8], text: &[u8], paths: bool) -> bool {
    let mut steps = 200_000;
    run(pattern, text, paths, true, &mut steps)
}

fn run(pattern: &[u8], text: &[u8], paths: bool, start: bool, steps: &mut u32) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return text.is_empty() };
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    match first {
        b'*' => {
            let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
            let after = &pattern[stars..];
            if !paths {
                return (0..=text.len()).any(|at| run(after, &text[at..], paths, false, steps));
            }
            if stars >= 2 && start && (after.is_empty() || after[0] == b'/') {
                if after.is_empty() {
                    return true;
                }
                // `**/` is any number of directories, also none.
                if run(&after[1..], text, paths, true, steps) {
                    return true;
                }
                return text
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| **byte == b'/')
                    .any(|(at, _)| run(&after[1..], &text[at + 1..], paths, true, steps));
            }
            for at in 0..=text.len() {
                if run(after, &text[at..], paths, false, steps) {
                    return true;
                }
                if text.get(at) == Some(&b'/') {
                    return false;
                }
            }
            false
        }
        b'?' => {
            text.first().is_some_and(|byte| !paths || *byte != b'/')
                && run(rest, &text[1..], paths, false, steps)
        }
        b'[' => {
            let Some(byte) = text.first().copied().filter(|byte| !paths || *byte != b'/') else {
                return false;
            };
            match class(rest, byte) {
                Some((true, after)) => run(after, &text[1..], paths, false, steps),
                Some((false, _)) => false,
                None => byte == b'[' && run(rest, &text[1..], paths, false, steps),
            }
        }
        b'\\' if !rest.is_empty() => {
            text.first() == rest.first() && run(&rest[1..], &text[1..], paths, false, steps)
        }
        byte => text.first() == Some(&byte) && run(rest, &text[1..], paths, byte == b'/', steps),
    }
}

fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let not = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(not);
    let mut found = false;
    let first = at;
    loop {
        let mut low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((found != not, &pattern[at + 1..]));
        }
        if low == b'[' && pattern.get(at + 1) == Some(&b':') {
            let end = at + 2 + pattern[at + 2..].windows(2).position(|pair| pair == b":]")?;
            found |= match &pattern[at + 2..end] {
                b"alpha" => byte.is_ascii_alphabetic(),
                b"digit" => byte.is_ascii_digit(),
                b"alnum" => byte.is_ascii_alphanumeric(),
                b"space" => byte.is_ascii_whitespace(),
                b"upper" => byte.is_ascii_uppercase(),
                b"lower" => byte.is_ascii_lowercase(),
                b"punct" => byte.is_ascii_punctuation(),
                b"xdigit" => byte.is_ascii_hexdigit(),
                _ => false,
            };
            at = end + 2;
            continue;
        }
        if low == b'\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|byte| *byte != b']') {
            let mut high = pattern[at + 1];
            at += 2;
            if high == b'\\' {
                high = *pattern.get(at)?;
                at += 1;
            }
            found |= (low..=high).contains(&byte);
        } else {
            found |= byte == low;
        }
    }
}

/// Whether a text has a character that makes it a pattern.
pub fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stop_at_slashes_only_in_paths() {
        assert!(matches(b"*.py", b"a.py", true) && !matches(b"*.py", b"d/a.py", true));
        assert!(matches(b"*.py", b"d/a.py", false));
        assert!(matches(b"**/a", b"a", true) && matches(b"**/a", b"b/c/a", true));
        assert!(matches(b"a/**", b"a/b/c", true) && !matches(b"a/**", b"ab", true));
        assert!(matches(b"a/**/b", b"a/b", true) && matches(b"a/**/b", b"a/x/y/b", true));
        assert!(matches(b"[!a-c]x", b"dx", true) && !matches(b"[!a-c]x", b"bx", true));
    }
}
