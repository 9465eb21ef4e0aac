//! The commands.

use super::address::{Range, part, skip};
use super::{Editor, Next, Refusal};

const INVALID: Refusal = "Invalid address";
const SUFFIX: Refusal = "Invalid command suffix";

impl Editor {
    /// Does one command. `warned` says that the last was refused for the sake of changes.
    pub(super) fn command(&mut self, line: &[u8], warned: bool) -> Result<Next, Refusal> {
        let mut text = line;
        let range = self.range(&mut text)?;
        let Some((name, mut rest)) = text.split_first().map(|(name, rest)| (*name, rest)) else {
            let line = range.last_or(self.text.here + 1);
            self.print((line, line), b'p')?;
            return Ok(Next::Go);
        };
        let here = self.text.here;
        let count = self.text.count();
        match name {
            b'a' | b'i' | b'c' => {
                let shown = shown(rest)?;
                let lines = range.or(here, here);
                let behind = match name {
                    b'a' => lines.1,
                    _ => lines.1.saturating_sub(1),
                };
                let fresh = self.typed();
                if name == b'c' {
                    valid(lines)?;
                    self.text.delete(lines);
                    self.text.insert(lines.0 - 1, fresh);
                } else if fresh.is_empty() {
                    self.text.here = lines.1;
                } else {
                    self.text.insert(behind, fresh);
                }
                self.show(shown)?;
            }
            b'd' => {
                let shown = shown(rest)?;
                let lines = valid(range.or(here, here))?;
                self.text.delete(lines);
                self.show(shown)?;
            }
            b'p' | b'n' | b'l' => {
                let more = shown(rest)?;
                let lines = range.or(here, here);
                self.print(lines, if more == Some(b'n') || name == b'n' { b'n' } else { name })?;
            }
            b's' => return self.substitute(&range, rest).map(|()| Next::Go),
            b'g' | b'v' | b'G' | b'V' => return self.global(name, &range, rest).map(|()| Next::Go),
            b'm' | b't' => {
                let lines = valid(range.or(here, here))?;
                let behind = self.address(&mut rest)?.unwrap_or(self.text.here);
                let shown = shown(rest)?;
                if name == b'm' {
                    if (lines.0..lines.1).contains(&behind) {
                        return Err("Invalid destination");
                    }
                    self.text.shift(lines, behind);
                } else {
                    let copy = (lines.0..=lines.1).map(|line| self.text.line(line).to_vec()).collect();
                    self.text.insert(behind, copy);
                }
                self.show(shown)?;
            }
            b'j' => {
                let shown = shown(rest)?;
                let lines = range.or(here, here + 1);
                if lines.1 > count {
                    return Err(INVALID);
                }
                let lines = valid(lines)?;
                if lines.0 < lines.1 {
                    let joined: Vec<u8> =
                        (lines.0..=lines.1).flat_map(|line| self.text.line(line).to_vec()).collect();
                    self.text.delete(lines);
                    self.text.insert(lines.0 - 1, vec![joined]);
                }
                self.show(shown)?;
            }
            b'k' => {
                let letter =
                    rest.first().copied().filter(u8::is_ascii_lowercase).ok_or("Invalid mark character")?;
                let line = range.last_or(here);
                valid((line, line))?;
                self.text.mark(letter, line);
            }
            b'u' => {
                if !self.text.undo() {
                    return Err("Nothing to undo");
                }
                self.show(shown(rest)?)?;
            }
            b'=' => {
                let line = range.last_or(count);
                self.say(line.to_string());
            }
            b'z' => {
                let from = range.last_or(here + 1);
                if from > count {
                    return Err(INVALID);
                }
                if let Some(window) = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok()) {
                    self.window = window;
                } else if !rest.is_empty() {
                    return Err(SUFFIX);
                }
                self.print((from, (from + self.window).saturating_sub(1).min(count)), b'p')?;
            }
            b'h' => {
                if !self.last_refusal.is_empty() {
                    self.say(self.last_refusal);
                }
            }
            b'H' => {
                self.explain = !self.explain;
                if self.explain && !self.last_refusal.is_empty() {
                    self.say(self.last_refusal);
                }
            }
            b'P' => self.prompt = if self.prompt.is_some() { None } else { Some("*".into()) },
            b'#' => {}
            b'q' if self.text.changed() && !warned => return self.lose(),
            b'q' | b'Q' => return Ok(Next::Quit),
            b'e' if self.text.changed() && !warned => return self.lose(),
            b'e' | b'E' | b'r' | b'f' | b'w' | b'W' => return self.file(name, &range, rest),
            b'!' => return Err("Shell access restricted"),
            _ => return Err("Unknown command"),
        }
        Ok(Next::Go)
    }

    fn lose(&mut self) -> Result<Next, Refusal> {
        self.warned = true;
        Err("Warning: buffer modified")
    }

    /// The commands with a file's name.
    fn file(&mut self, name: u8, range: &Range, rest: &[u8]) -> Result<Next, Refusal> {
        let quits = matches!(name, b'w' | b'W') && matches!(rest.first(), Some(b'q' | b'Q'));
        let mut rest = if quits { &rest[1..] } else { rest };
        if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err("Unexpected command suffix");
        }
        skip(&mut rest);
        if rest.starts_with(b"!") {
            return Err("Shell access restricted");
        }
        let typed = String::from_utf8_lossy(rest).into_owned();
        let file = if typed.is_empty() { self.file.clone() } else { typed.clone() };
        if file.is_empty() {
            return Err("No current filename");
        }
        if self.file.is_empty() || matches!(name, b'e' | b'E' | b'f') {
            self.file = file.clone();
        }
        let count = self.text.count();
        match name {
            b'f' => self.say(file),
            b'r' => self.read_file(&file, range.last_or(count))?,
            b'w' | b'W' => {
                let lines = range.or(1, count);
                self.write_file(&file, lines, name == b'W')?;
                if (lines.0 <= 1 && lines.1 == count) || quits {
                    self.text.written();
                }
            }
            _ => {
                if count > 0 {
                    self.text.delete((1, count));
                }
                let result = self.read_file(&file, 0);
                self.text.written();
                result?;
            }
        }
        Ok(if quits { Next::Quit } else { Next::Go })
    }

    /// Reads lines up to a point alone on its line.
    fn typed(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.input.line().filter(|line| line != b".")).collect()
    }

    /// Shows the current line if a suffix asks for it.
    fn show(&mut self, how: Option<u8>) -> Result<(), Refusal> {
        match how {
            Some(how) => self.print((self.text.here, self.text.here), how),
            None => Ok(()),
        }
    }

    fn print(&mut self, lines: (usize, usize), how: u8) -> Result<(), Refusal> {
        let (from, to) = valid(lines)?;
        if to > self.text.count() {
            return Err(INVALID);
        }
        for number in from..=to {
            let mut line = if how == b'n' { format!("{number}\t").into_bytes() } else { Vec::new() };
            let text = self.text.line(number);
            if how == b'l' {
                line.extend(unambiguous(text));
            } else {
                line.extend_from_slice(text);
            }
            self.say(line);
        }
        self.text.here = to;
        Ok(())
    }

    fn substitute(&mut self, range: &Range, rest: &[u8]) -> Result<(), Refusal> {
        let mut text = rest;
        let here = self.text.here;
        let (from, to) = valid(range.or(here, here))?;
        let pattern;
        match text.first().copied() {
            // Alone, the last substitution once more.
            None | Some(b'g' | b'p' | b'r' | b'0'..=b'9') => {
                pattern = self.pattern.clone().ok_or("No previous substitution")?;
            }
            Some(b' ' | b'\n') => return Err("Invalid pattern delimiter"),
            Some(delimiter) => {
                text = &text[1..];
                pattern = self.pattern(&mut text, delimiter)?;
                let (replacement, flags) = self.replacement(text, delimiter)?;
                let replacement = match &self.replacement {
                    Some((last, _)) if replacement == b"%" => last.clone(),
                    _ => replacement,
                };
                self.replacement = Some((replacement, flags));
            }
        }
        let (replacement, flags) = self.replacement.clone().ok_or("No previous substitution")?;
        let all = flags.contains('g');
        let digits: String = flags.chars().filter(char::is_ascii_digit).collect();
        let nth = digits.parse::<usize>().unwrap_or(1).max(1);
        let mut done = 0;
        let mut number = from;
        for _ in from..=to {
            let line = self.text.line(number).to_vec();
            let mut out = Vec::with_capacity(line.len());
            let (mut last, mut hits) = (0, 0);
            for found in pattern.captures_iter(&line) {
                hits += 1;
                if hits < nth || (hits > nth && !all) {
                    continue;
                }
                let whole = found.get(0).expect("the whole match is always there");
                out.extend_from_slice(&line[last..whole.start()]);
                fill(&mut out, &replacement, &found);
                last = whole.end();
            }
            if hits >= nth {
                out.extend_from_slice(&line[last..]);
                self.text.replace(number, &out);
                number = self.text.here;
                done = number;
            }
            number += 1;
        }
        if done == 0 {
            return if self.in_global { Ok(()) } else { Err("No match") };
        }
        self.text.here = done;
        self.show(flags.bytes().find(|byte| b"pnl".contains(byte)))
    }

    /// Reads a replacement and its flags; an escaped newline goes on with the next line.
    fn replacement(&mut self, text: &[u8], delimiter: u8) -> Result<(Vec<u8>, String), Refusal> {
        let mut line = text.to_vec();
        let mut replacement = Vec::new();
        loop {
            let mut rest = line.as_slice();
            let (piece, ended) = part(&mut rest, delimiter);
            replacement.extend(piece);
            if ended {
                return Ok((replacement, String::from_utf8_lossy(rest).into_owned()));
            }
            match replacement.last_mut() {
                Some(last) if *last == b'\\' => *last = b'\n',
                // Without its last delimiter the command prints.
                _ => return Ok((replacement, "p".into())),
            }
            line = self.input.line().ok_or("Unexpected end-of-file")?;
        }
    }

    fn global(&mut self, name: u8, range: &Range, rest: &[u8]) -> Result<(), Refusal> {
        if self.in_global {
            return Err("Cannot nest global commands");
        }
        if matches!(name, b'G' | b'V') {
            return Err("Interactive global commands are not known here");
        }
        let mut text = rest;
        let delimiter =
            text.first().copied().filter(|byte| *byte != b' ').ok_or("Invalid pattern delimiter")?;
        text = &text[1..];
        let pattern = self.pattern(&mut text, delimiter)?;
        let (from, to) = range.or(1, self.text.count());
        let wanted = name == b'g';
        let hits: Vec<u64> = (from.max(1)..=to)
            .filter(|line| pattern.is_match(self.text.line(*line)) == wanted)
            .map(|line| self.text.id(line))
            .collect();
        // A list goes on behind a final backslash.
        let mut list = vec![text.to_vec()];
        while list.last().is_some_and(|line| line.ends_with(b"\\")) {
            list.last_mut().map(Vec::pop);
            list.push(self.input.line().ok_or("Unexpected end-of-file")?);
        }
        if list == [b""] {
            list = vec![b"p".to_vec()];
        }
        self.in_global = true;
        let mut result = Ok(());
        'lines: for id in hits {
            let Some(line) = self.text.find(id) else { continue };
            self.text.here = line;
            self.input.list = list.iter().rev().cloned().collect();
            while let Some(line) = self.input.list.pop() {
                if let Err(refusal) = self.command(&line, false) {
                    result = Err(refusal);
                    break 'lines;
                }
            }
        }
        self.input.list.clear();
        self.in_global = false;
        result
    }
}

/// Lines that are there; line 0 is none.
fn valid(lines: (usize, usize)) -> Result<(usize, usize), Refusal> {
    if lines.0 == 0 { Err(INVALID) } else { Ok(lines) }
}

/// The suffix that asks to see the line.
fn shown(rest: &[u8]) -> Result<Option<u8>, Refusal> {
    match rest.trim_ascii() {
        [] => Ok(None),
        [.., last @ (b'p' | b'n' | b'l')] if rest.iter().all(|byte| b"pnl".contains(byte)) => Ok(Some(*last)),
        _ => Err(SUFFIX),
    }
}

/// `&` and `\1` of a replacement.
fn fill(out: &mut Vec<u8>, replacement: &[u8], found: &regex::bytes::Captures) {
    let group = |number: usize| found.get(number).map_or(&b""[..], |part| part.as_bytes());
    let mut bytes = replacement.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'&' => out.extend_from_slice(group(0)),
            b'\\' => match bytes.next() {
                Some(digit @ b'0'..=b'9') => out.extend_from_slice(group(usize::from(digit - b'0'))),
                Some(other) => out.push(other),
                None => out.push(b'\\'),
            },
            byte => out.push(byte),
        }
    }
}

/// A line with all bytes visible and a `$` at its end.
fn unambiguous(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'$' => out.extend_from_slice(b"\\$"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0b => out.extend_from_slice(b"\\v"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b' '..=b'~' => out.push(*byte),
            byte => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    out.push(b'$');
    out
}
