//! `xargs`.

use super::{Done, number};
use crate::shell::Shell;

/// Bytes of one command line, at most, as GNU's default.
const MAX_LINE: usize = 128 << 10;

/// What was asked for.
#[derive(Clone)]
struct Request {
    delimiter: Option<u8>,
    skips_empty: bool,
    per_call: usize,
    lines_per_call: usize,
    replace: Option<Vec<u8>>,
    at_once: usize,
    shows: bool,
    bytes: usize,
    exits: bool,
    input: Option<Vec<u8>>,
}

fn refuse(shell: &mut Shell, text: &str) -> i32 {
    shell.print_error(format!("xargs: {text}\n").as_bytes());
    1
}

fn request(shell: &mut Shell, argv: &[Vec<u8>]) -> Result<(Request, Vec<Vec<u8>>), i32> {
    let mut request = Request {
        delimiter: None,
        skips_empty: false,
        per_call: 0,
        lines_per_call: 0,
        replace: None,
        at_once: 1,
        shows: false,
        bytes: MAX_LINE,
        exits: false,
        input: None,
    };
    let mut at = 1;
    while let Some(word) = argv.get(at).cloned() {
        if !word.starts_with(b"-") || word == b"-" {
            break;
        }
        at += 1;
        let (letter, value) = match word.as_slice() {
            b"--" => break,
            b"--null" => (b'0', None),
            b"--no-run-if-empty" => (b'r', None),
            b"--verbose" => (b't', None),
            b"--exit" => (b'x', None),
            [b'-', b'-', rest @ ..] => {
                let (name, value) = match rest.iter().position(|b| *b == b'=') {
                    Some(at) => (&rest[..at], Some(rest[at + 1..].to_vec())),
                    None => (rest, None),
                };
                let letter = match name {
                    b"max-args" => b'n',
                    b"max-lines" => b'L',
                    b"max-procs" => b'P',
                    b"max-chars" => b's',
                    b"replace" => b'I',
                    b"delimiter" => b'd',
                    b"arg-file" => b'a',
                    _ => {
                        let shown = String::from_utf8_lossy(&word).into_owned();
                        return Err(refuse(shell, &format!("unrecognized option '{shown}'")));
                    }
                };
                match value {
                    Some(value) => (letter, Some(value)),
                    None if letter == b'I' => (letter, Some(b"{}".to_vec())),
                    None => {
                        at += 1;
                        (letter, argv.get(at - 1).cloned())
                    }
                }
            }
            [_, letters @ ..] => {
                let mut letters = letters;
                while let [letter @ (b'0' | b'r' | b't' | b'x' | b'p' | b'o'), rest @ ..] = letters {
                    simple(&mut request, *letter);
                    letters = rest;
                }
                let Some((letter, rest)) = letters.split_first() else { continue };
                match (letter, rest) {
                    (b'i', rest) => {
                        (b'I', Some(if rest.is_empty() { b"{}".to_vec() } else { rest.to_vec() }))
                    }
                    (b'e', _) => continue,
                    (b'l', rest) => (b'L', Some(if rest.is_empty() { b"1".to_vec() } else { rest.to_vec() })),
                    (letter, []) => {
                        at += 1;
                        (*letter, argv.get(at - 1).cloned())
                    }
                    (letter, rest) => (*letter, Some(rest.to_vec())),
                }
            }
            [] => break,
        };
        if matches!(letter, b'0' | b'r' | b't' | b'x') && value.is_none() {
            simple(&mut request, letter);
            continue;
        }
        let Some(value) = value else {
            let letter = char::from(letter);
            return Err(refuse(shell, &format!("option requires an argument -- '{letter}'")));
        };
        let amount = number::<usize>(&value);
        match letter {
            b'n' | b'L' | b'P' | b's' => {
                let Some(amount) = amount.filter(|n| *n > 0 || letter == b'P') else {
                    let shown = String::from_utf8_lossy(&value).into_owned();
                    let letter = char::from(letter);
                    let why = if number::<i64>(&value).is_some() {
                        format!("value {shown} for -{letter} option should be >= 1")
                    } else {
                        format!("invalid number \"{shown}\" for -{letter} option")
                    };
                    return Err(refuse(shell, &why));
                };
                match letter {
                    b'n' => {
                        request.per_call = amount;
                        request.replace = None;
                    }
                    b'L' => request.lines_per_call = amount,
                    b'P' => request.at_once = if amount == 0 { 64 } else { amount },
                    _ => request.bytes = amount,
                }
            }
            b'I' => request.replace = Some(value),
            b'd' => request.delimiter = super::escape::ansi(&value).first().copied().or(Some(0)),
            b'a' => request.input = Some(value),
            b'E' => {}
            other => {
                let letter = char::from(other);
                return Err(refuse(shell, &format!("invalid option -- '{letter}'")));
            }
        }
    }
    let mut command = argv.get(at..).unwrap_or_default().to_vec();
    if command.is_empty() {
        command.push(b"echo".to_vec());
    }
    Ok((request, command))
}

fn simple(request: &mut Request, letter: u8) {
    match letter {
        b'0' => request.delimiter = Some(0),
        b'r' => request.skips_empty = true,
        b't' => request.shows = true,
        b'x' => request.exits = true,
        _ => {}
    }
}

/// Items of the input, each with the line it stands on.
fn items(request: &Request, text: &[u8]) -> Result<Vec<(Vec<u8>, usize)>, &'static str> {
    if let Some(delimiter) = request.delimiter {
        let text = text.strip_suffix(&[delimiter]).unwrap_or(text);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        return Ok(text.split(|b| *b == delimiter).enumerate().map(|(n, item)| (item.to_vec(), n)).collect());
    }
    let whole_lines = request.replace.is_some();
    let mut items = Vec::new();
    let (mut item, mut started, mut line, mut at) = (Vec::new(), false, 0, 0);
    let mut quote = 0u8;
    let mut blank_end = false;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if quote != 0 {
            match byte {
                b'\n' => {
                    return Err(if quote == b'\'' {
                        "unmatched single quote; by default quotes are special to xargs unless you use the -0 option"
                    } else {
                        "unmatched double quote; by default quotes are special to xargs unless you use the -0 option"
                    });
                }
                byte if byte == quote => quote = 0,
                byte => item.push(byte),
            }
            continue;
        }
        match byte {
            b'\'' | b'"' => {
                quote = byte;
                started = true;
            }
            b'\\' if at < text.len() => {
                item.push(text[at]);
                at += 1;
                started = true;
            }
            b'\n' => {
                if started {
                    items.push((std::mem::take(&mut item), line));
                    started = false;
                }
                // A blank at the end of a line goes on with the next, for `-L`.
                if !blank_end {
                    line += 1;
                }
                blank_end = false;
            }
            b' ' | b'\t' if whole_lines => {
                if started {
                    item.push(byte);
                }
            }
            b' ' | b'\t' => {
                if started {
                    items.push((std::mem::take(&mut item), line));
                    started = false;
                }
                blank_end = true;
            }
            byte => {
                item.push(byte);
                started = true;
                blank_end = false;
            }
        }
    }
    if quote != 0 {
        return Err(if quote == b'\'' {
            "unmatched single quote; by default quotes are special to xargs unless you use the -0 option"
        } else {
            "unmatched double quote; by default quotes are special to xargs unless you use the -0 option"
        });
    }
    if started {
        items.push((item, line));
    }
    Ok(items)
}

/// The command lines to run.
fn calls(request: &Request, command: &[Vec<u8>], items: &[(Vec<u8>, usize)]) -> Vec<Vec<Vec<u8>>> {
    if let Some(mark) = &request.replace {
        return items
            .iter()
            .map(|(item, _)| command.iter().map(|word| replaced(word, mark, item)).collect())
            .collect();
    }
    let base: usize = command.iter().map(|w| w.len() + 1).sum();
    let mut calls = Vec::new();
    let mut call = command.to_vec();
    let (mut count, mut bytes, mut first_line) = (0, base, None);
    for (item, line) in items {
        let too_many = request.per_call > 0 && count >= request.per_call;
        let too_long = count > 0 && bytes + item.len() + 1 > request.bytes.max(base + 1);
        let lines = first_line.map_or(0, |first: usize| line - first);
        let too_far = request.lines_per_call > 0 && count > 0 && lines >= request.lines_per_call;
        if too_many || too_long || too_far {
            calls.push(std::mem::replace(&mut call, command.to_vec()));
            (count, bytes, first_line) = (0, base, None);
        }
        first_line.get_or_insert(*line);
        call.push(item.clone());
        count += 1;
        bytes += item.len() + 1;
    }
    if count > 0 || (items.is_empty() && !request.skips_empty) {
        calls.push(call);
    }
    calls
}

fn replaced(word: &[u8], mark: &[u8], item: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < word.len() {
        if !mark.is_empty() && word[at..].starts_with(mark) {
            out.extend_from_slice(item);
            at += mark.len();
        } else {
            out.push(word[at]);
            at += 1;
        }
    }
    out
}

pub(super) fn xargs(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (request, command) = match request(shell, argv) {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let input = match &request.input {
        Some(path) => match shell.open(path, crate::fs::Open::read()) {
            Ok(handle) => Some(handle),
            Err(errno) => {
                let path = String::from_utf8_lossy(path).into_owned();
                let why = crate::shell::message(errno);
                return Ok(refuse(shell, &format!("Cannot open input file '{path}': {why}")));
            }
        },
        None => shell.descriptor(0),
    };
    let text = match input {
        Some(input) => shell.read_all(&input)?,
        None => Vec::new(),
    };
    let items = match items(&request, &text) {
        Ok(items) => items,
        Err(why) => return Ok(refuse(shell, why)),
    };
    shell.room(text.len().saturating_mul(2) + items.len() * 64)?;
    let mut sub = shell.fork();
    sub.signal = shell.signal.clone();
    if request.input.is_none() {
        std::sync::Arc::make_mut(&mut sub.descriptors).insert(0, crate::fs::Handle::null());
    }
    let mut failed = 0;
    for call in calls(&request, &command, &items) {
        shell.check()?;
        if request.shows {
            shell.print_error(&[&call.join(&b' ')[..], b"\n"].concat());
        }
        let mut one = sub.fork();
        one.signal = shell.signal.clone();
        // One after the other: `-P` promises no order, so theirs is as good as any.
        let status = one.run_to_end(|one| {
            one.status = super::launch::execute(one, b"xargs", &call)?;
            Ok(())
        });
        drop(one);
        shell.check()?;
        match status {
            0 => {}
            126 | 127 => return Ok(status),
            255 => {
                let name = String::from_utf8_lossy(&call[0]).into_owned();
                refuse(shell, &format!("{name}: exited with status 255; aborting"));
                return Ok(124);
            }
            129.. => {
                let name = String::from_utf8_lossy(&call[0]).into_owned();
                refuse(shell, &format!("{name}: terminated by signal {}", status - 128));
                return Ok(125);
            }
            _ => failed = 123,
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(delimiter: Option<u8>) -> Request {
        Request {
            delimiter,
            skips_empty: false,
            per_call: 0,
            lines_per_call: 0,
            replace: None,
            at_once: 1,
            shows: false,
            bytes: MAX_LINE,
            exits: false,
            input: None,
        }
    }

    #[test]
    fn items_are_split_at_blanks_and_quotes_hold_them_together() {
        let found = items(&request(None), b"a 'b c'\n\\ d \"e\"\n").unwrap();
        let texts: Vec<&[u8]> = found.iter().map(|(t, _)| t.as_slice()).collect();
        assert_eq!(texts, [&b"a"[..], b"b c", b" d", b"e"]);
        assert!(items(&request(None), b"it's\n").is_err());
        assert_eq!(items(&request(Some(0)), b"a b\0c\0").unwrap().len(), 2);
    }

    #[test]
    fn calls_take_as_many_as_they_may() {
        let mut request = request(None);
        request.per_call = 2;
        let items: Vec<(Vec<u8>, usize)> = (0..5).map(|n| (vec![b'0' + n], 0)).collect();
        let calls = calls(&request, &[b"echo".to_vec()], &items);
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[2], [b"echo".to_vec(), b"4".to_vec()]);
    }
}
