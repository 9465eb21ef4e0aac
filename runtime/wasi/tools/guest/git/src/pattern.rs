//! Search patterns: git's basic and extended forms as Rust's regular expressions.

use crate::error::{Result, fatal};
use regex::bytes::{Regex, RegexBuilder};

/// How a pattern is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Basic,
    Extended,
    Perl,
    Fixed,
}

/// Compiles a pattern.
pub fn compile(pattern: &str, form: Form, fold: bool, word: bool) -> Result<Regex> {
    let text = match form {
        Form::Fixed => regex::escape(pattern),
        Form::Basic => basic(pattern),
        Form::Extended => extended(pattern),
        Form::Perl => pattern.to_owned(),
    };
    let text = if word { format!(r"\b(?:{text})\b") } else { text };
    RegexBuilder::new(&text)
        .case_insensitive(fold)
        .multi_line(true)
        .crlf(false)
        .size_limit(8 << 20)
        .build()
        .map_err(|_| fatal(format!("command line, '{pattern}': Invalid regular expression")))
}

// In the basic form the operators are the escaped ones.
fn basic(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut start = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => {
                    out.push(c);
                    start = c == '(' || c == '|';
                    continue;
                }
                Some('<') => out.push_str(r"\b"),
                Some('>') => out.push_str(r"\b"),
                Some(c) if c.is_alphanumeric() => {
                    out.push('\\');
                    out.push(c);
                }
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => out.push_str(r"\\"),
            },
            '[' => class(&mut out, &mut chars),
            '*' if start => out.push_str(r"\*"),
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => {
                out.push('\\');
                out.push(c);
            }
            '^' if !start => out.push_str(r"\^"),
            '$' if chars.peek().is_some()
                && !matches!(chars.clone().collect::<String>().as_str().get(..2), Some("\\)" | "\\|")) =>
            {
                out.push_str(r"\$");
            }
            c => out.push(c),
        }
        start = c == '^' && out.len() == 1;
    }
    out
}

fn extended(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('<' | '>') => out.push_str(r"\b"),
                Some(c) if c.is_alphanumeric() => {
                    out.push('\\');
                    out.push(c);
                }
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => out.push_str(r"\\"),
            },
            '[' => class(&mut out, &mut chars),
            '{' if !chars.peek().is_some_and(char::is_ascii_digit) => out.push_str(r"\{"),
            c => out.push(c),
        }
    }
    out
}

// A class in brackets: a backslash in it is a plain character.
fn class(out: &mut String, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '[' if matches!(chars.peek(), Some(':')) => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            ']' | '[' | '\\' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        first = false;
    }
}
