//! Tokens of a program.

/// A token and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(f64),
    Text(Vec<u8>),
    Regex(Vec<u8>),
    Name(String),
    /// A name with `(` right after it.
    Call(String),
    Word(&'static str),
    Sign(&'static str),
    Newline,
    End,
}

const WORDS: &[&str] = &[
    "BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue", "next",
    "nextfile", "exit", "return", "delete", "in", "getline", "print", "printf",
];
/// Longer ones first.
const SIGNS: &[&str] = &[
    "**=", "&&", "||", "==", "!=", "<=", ">=", ">>", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "**",
    "!~", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", ">", "<", "|", "?", ":",
    "~", "$", "=",
];

/// Takes a program apart; an error names the line.
pub fn tokens(text: &[u8]) -> Result<Vec<(Token, usize)>, String> {
    let mut out: Vec<(Token, usize)> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let byte = text[at];
        match byte {
            b' ' | b'\t' | b'\r' => at += 1,
            b'\n' => {
                out.push((Token::Newline, line));
                line += 1;
                at += 1;
            }
            b'\\' if text.get(at + 1) == Some(&b'\n') => {
                line += 1;
                at += 2;
            }
            b'\\' if text.get(at + 1) == Some(&b'\r') => at += 2,
            b'#' => at += text[at..].iter().take_while(|byte| **byte != b'\n').count(),
            b'"' => {
                let (value, used) =
                    string(&text[at + 1..]).ok_or_else(|| format!("line {line}: runaway string constant"))?;
                out.push((Token::Text(value), line));
                at += 1 + used;
            }
            b'/' if regex_may_follow(out.last().map(|(token, _)| token)) => {
                let mut end = at + 1;
                let mut class = false;
                loop {
                    match text.get(end) {
                        None | Some(b'\n') => {
                            return Err(format!(
                                "line {line}: runaway regular expression /{} ...",
                                String::from_utf8_lossy(&text[at + 1..end.min(at + 11)])
                            ));
                        }
                        Some(b'\\') => end += 1,
                        Some(b'[') => {
                            class = true;
                            // A bracket right after the opening one is a member.
                            if text.get(end + 1) == Some(&b'^') {
                                end += 1;
                            }
                            if text.get(end + 1) == Some(&b']') {
                                end += 1;
                            }
                        }
                        Some(b']') => class = false,
                        Some(b'/') if !class => break,
                        _ => {}
                    }
                    end += 1;
                }
                out.push((Token::Regex(text[at + 1..end].to_vec()), line));
                at = end + 1;
            }
            b'0'..=b'9' | b'.' if byte != b'.' || text.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                let (value, used) = crate::value::number_at(&text[at..]);
                out.push((Token::Number(value), line));
                at += used.max(1);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = at
                    + text[at..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                        .count();
                let name = String::from_utf8_lossy(&text[at..end]).into_owned();
                let token = match WORDS.iter().find(|word| **word == name) {
                    Some(word) => Token::Word(word),
                    None if text.get(end) == Some(&b'(') => Token::Call(name),
                    None => Token::Name(name),
                };
                out.push((token, line));
                at = end;
            }
            _ => match SIGNS.iter().find(|sign| text[at..].starts_with(sign.as_bytes())) {
                Some(sign) => {
                    out.push((Token::Sign(sign), line));
                    at += sign.len();
                }
                None => return Err(format!("line {line}: unexpected character '{}'", byte as char)),
            },
        }
    }
    out.push((Token::Newline, line));
    out.push((Token::End, line));
    Ok(out)
}

// After a value a slash divides; elsewhere it begins a pattern.
fn regex_may_follow(last: Option<&Token>) -> bool {
    match last {
        Some(Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_)) => false,
        Some(Token::Sign(sign)) => !matches!(*sign, ")" | "]" | "$" | "++" | "--"),
        Some(Token::Word(word)) => *word != "getline",
        _ => true,
    }
}

fn string(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut end = 0;
    loop {
        match text.get(end)? {
            b'"' => break,
            b'\n' => return None,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    Some((unescape(&text[..end]), end + 1))
}

/// Replaces the escapes of a string.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' || at + 1 == text.len() {
            out.push(text[at]);
            at += 1;
            continue;
        }
        at += 1;
        match text[at] {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'\\' => out.push(b'\\'),
            b'"' => out.push(b'"'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'\n' => {}
            b'0'..=b'7' => {
                let count = text[at..].iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let value =
                    text[at..at + count].iter().fold(0u32, |value, byte| value * 8 + u32::from(byte - b'0'));
                out.push(value as u8);
                at += count - 1;
            }
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        at += 1;
    }
    out
}
