//! `read` and `mapfile`.

use super::{Done, number};
use crate::fs::Handle;
use crate::shell::{Leave, Shell, is_name};
use std::time::{Duration, Instant};

/// Most bytes of one line.
const MAX_LINE: usize = 256 << 20;
/// Bytes after which a read looks at its budget.
const CHECKED: u64 = 64 << 10;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Delimiter,
    Input,
    Time,
}

/// Reads a line without its end; whether the input ended.
pub(crate) fn line(shell: &mut Shell, input: &Handle) -> Result<(Vec<u8>, bool), Leave> {
    let mut reader = Reader::new(input);
    let (text, end) = reader.until(shell, Some(b'\n'), usize::MAX, false, None)?;
    Ok((text.into_iter().map(|(b, _)| b).collect(), end == End::Input))
}

/// Reads no further than it must: whoever reads next goes on right there.
struct Reader<'a> {
    input: &'a Handle,
    /// What was read ahead of a file, which can be given back.
    ahead: Vec<u8>,
    at: usize,
    seekable: bool,
}

impl<'a> Reader<'a> {
    fn new(input: &'a Handle) -> Reader<'a> {
        let seekable = input.seek(std::io::SeekFrom::Current(0)).is_ok();
        Reader { input, ahead: Vec::new(), at: 0, seekable }
    }

    /// One byte; `None` at the end.
    fn byte(&mut self, shell: &mut Shell) -> Result<Option<u8>, Leave> {
        if let Some(byte) = self.ahead.get(self.at) {
            self.at += 1;
            return Ok(Some(*byte));
        }
        let mut buffer = [0; 4096];
        let take = if self.seekable { buffer.len() } else { 1 };
        match self.input.read(&mut buffer[..take], &shell.budget) {
            Ok(0) => Ok(None),
            Ok(n) => {
                self.ahead.clear();
                self.ahead.extend_from_slice(&buffer[..n]);
                self.at = 1;
                Ok(Some(buffer[0]))
            }
            Err(crate::shell::Errno::INTR) => {
                shell.check()?;
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Bytes up to a delimiter, each with whether a backslash quoted it.
    fn until(
        &mut self,
        shell: &mut Shell,
        delimiter: Option<u8>,
        most: usize,
        backslashes: bool,
        deadline: Option<Instant>,
    ) -> Result<(Vec<(u8, bool)>, End), Leave> {
        let mut out: Vec<(u8, bool)> = Vec::new();
        let mut quoted = false;
        let (mut count, mut taken) = (0, 0u64);
        let end = loop {
            if count >= most {
                break End::Delimiter;
            }
            if let Some(deadline) = deadline {
                while !self.has_more() && !self.input.is_ready(false) {
                    if Instant::now() >= deadline {
                        self.give_back();
                        return Ok((out, End::Time));
                    }
                    shell.check()?;
                    let _ = shell.budget.sleep(Duration::from_millis(1));
                }
            }
            let Some(byte) = self.byte(shell)? else { break End::Input };
            taken += 1;
            if taken % CHECKED == 0 {
                shell.check()?;
                shell.room(out.len() * 4)?;
                if out.len() > MAX_LINE {
                    return Err(shell.out_of_memory(out.len()));
                }
            }
            if quoted {
                quoted = false;
                if byte != b'\n' {
                    out.push((byte, true));
                    count += usize::from(byte & 0xC0 != 0x80);
                }
                continue;
            }
            if byte == b'\\' && backslashes {
                quoted = true;
                continue;
            }
            if Some(byte) == delimiter {
                break End::Delimiter;
            }
            if byte == 0 {
                continue;
            }
            out.push((byte, false));
            count += usize::from(byte & 0xC0 != 0x80);
        };
        self.give_back();
        Ok((out, end))
    }

    fn has_more(&self) -> bool {
        self.at < self.ahead.len()
    }

    /// Gives back what was read ahead.
    fn give_back(&mut self) {
        let left = self.ahead.len() - self.at;
        if self.seekable && left > 0 {
            let _ = self.input.seek(std::io::SeekFrom::Current(-(left as i64)));
        }
        if self.seekable {
            self.ahead.clear();
            self.at = 0;
        }
    }
}

/// What `read` was asked for.
#[derive(Default)]
struct Request {
    raw: bool,
    array: Option<Vec<u8>>,
    delimiter: u8,
    most: Option<usize>,
    exactly: bool,
    prompt: Vec<u8>,
    timeout: Option<f64>,
    fd: i32,
    names: Vec<Vec<u8>>,
}

fn request(shell: &mut Shell, argv: &[Vec<u8>]) -> Result<Request, i32> {
    let mut request = Request { delimiter: b'\n', ..Request::default() };
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        if letters.is_empty() {
            break;
        }
        at += 1;
        if letters == b"-" {
            break;
        }
        let mut n = 0;
        while n < letters.len() {
            let letter = letters[n];
            n += 1;
            if b"resE".contains(&letter) {
                request.raw |= letter == b'r';
                continue;
            }
            if !b"adinNptu".contains(&letter) {
                shell.complain_about(&argv[0], &[b'-', letter], "invalid option");
                shell.print_error(b"read: usage: read [-ers] [-a array] [-d delim] [-i text] [-n nchars] [-N nchars] [-p prompt] [-t timeout] [-u fd] [name ...]\n");
                return Err(2);
            }
            let value = if n < letters.len() {
                letters[n..].to_vec()
            } else {
                let value = argv.get(at).cloned();
                at += 1;
                let Some(value) = value else {
                    shell.complain_about(&argv[0], &[b'-', letter], "option requires an argument");
                    return Err(2);
                };
                value
            };
            n = letters.len();
            let refused = |shell: &Shell, why: &str| {
                shell.complain_about(&argv[0], &value, why);
                Err(1)
            };
            match letter {
                b'a' => request.array = Some(value.clone()),
                b'd' => request.delimiter = value.first().copied().unwrap_or(0),
                b'p' => request.prompt = value.clone(),
                b'n' | b'N' => {
                    let Some(most) = number(&value) else { return refused(shell, "invalid number") };
                    request.most = Some(most);
                    request.exactly = letter == b'N';
                }
                b't' => {
                    let time = number::<f64>(&value).filter(|t| *t >= 0.0 && t.is_finite());
                    let Some(time) = time else { return refused(shell, "invalid timeout specification") };
                    request.timeout = Some(time);
                }
                b'u' => {
                    let Some(fd) = number(&value) else {
                        return refused(shell, "invalid file descriptor specification");
                    };
                    request.fd = fd;
                }
                _ => {}
            }
        }
    }
    request.names = argv.get(at..).unwrap_or_default().to_vec();
    Ok(request)
}

pub(super) fn read(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let request = match request(shell, argv) {
        Ok(request) => request,
        Err(status) => return Ok(status),
    };
    for name in request.names.iter().chain(&request.array) {
        let base = name.split(|b| *b == b'[').next().unwrap_or_default();
        if !is_name(base) {
            let shown = [b"`", &name[..], b"'"].concat();
            shell.complain_about(&argv[0], &shown, "not a valid identifier");
            return Ok(1);
        }
    }
    let Some(input) = shell.descriptor(request.fd) else {
        let fd = request.fd.to_string();
        shell.complain_about(&argv[0], fd.as_bytes(), "invalid file descriptor: Bad file descriptor");
        return Ok(1);
    };
    if !request.prompt.is_empty() && input.is_tty() {
        shell.print_error(&request.prompt);
    }
    if request.timeout == Some(0.0) {
        return Ok(i32::from(!input.is_ready(false)));
    }
    let deadline = request.timeout.map(|t| Instant::now() + Duration::from_secs_f64(t.min(1e9)));
    let delimiter = (!request.exactly).then_some(request.delimiter);
    let mut reader = Reader::new(&input);
    let most = request.most.unwrap_or(usize::MAX);
    let (text, end) = reader.until(shell, delimiter, most, !request.raw, deadline)?;
    distribute(shell, &request, &text)?;
    Ok(match end {
        End::Delimiter => 0,
        End::Input => 1,
        End::Time => 142,
    })
}

fn plain(text: &[(u8, bool)]) -> Vec<u8> {
    text.iter().map(|(b, _)| *b).collect()
}

/// Gives the line's fields to the variables.
fn distribute(shell: &mut Shell, request: &Request, text: &[(u8, bool)]) -> Result<(), Leave> {
    let ifs = shell.get(b"IFS").map_or_else(|| b" \t\n".to_vec(), <[u8]>::to_vec);
    if let Some(array) = &request.array {
        let fields = split(text, &ifs, usize::MAX);
        shell.clear_array(array)?;
        for (n, field) in fields.into_iter().enumerate() {
            shell.set_element(array, n.to_string().as_bytes(), field, false)?;
        }
        return Ok(());
    }
    if request.names.is_empty() {
        return shell.set(b"REPLY", plain(text), false);
    }
    if request.exactly {
        shell.set(&request.names[0], plain(text), false)?;
        for name in &request.names[1..] {
            shell.set(name, Vec::new(), false)?;
        }
        return Ok(());
    }
    let mut fields = split(text, &ifs, request.names.len()).into_iter();
    for name in &request.names {
        shell.set(name, fields.next().unwrap_or_default(), false)?;
    }
    Ok(())
}

/// Fields of a line; the last of `most` takes the rest.
fn split(text: &[(u8, bool)], ifs: &[u8], most: usize) -> Vec<Vec<u8>> {
    let separates = |c: &(u8, bool)| !c.1 && ifs.contains(&c.0);
    let is_space = |c: &(u8, bool)| separates(c) && matches!(c.0, b' ' | b'\t' | b'\n');
    let mut fields = Vec::new();
    let mut at = 0;
    let mut end = text.len();
    while at < end && is_space(&text[at]) {
        at += 1;
    }
    while end > at && is_space(&text[end - 1]) {
        end -= 1;
    }
    while at < end {
        if fields.len() + 1 == most {
            // The rest, without one separator that only ends it.
            let mut rest = &text[at..end];
            if let Some((last, before)) = rest.split_last()
                && separates(last)
                && !is_space(last)
                && !before.iter().any(|c| separates(c) && !is_space(c))
            {
                rest = before;
            }
            fields.push(plain(rest));
            return fields;
        }
        let start = at;
        while at < end && !separates(&text[at]) {
            at += 1;
        }
        fields.push(plain(&text[start..at]));
        while at < end && is_space(&text[at]) {
            at += 1;
        }
        if at < end && separates(&text[at]) && !is_space(&text[at]) {
            at += 1;
            while at < end && is_space(&text[at]) {
                at += 1;
            }
        }
    }
    fields
}

pub(super) fn mapfile(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (mut trim, mut delimiter, mut most, mut origin, mut skip, mut fd) =
        (false, b'\n', 0usize, 0i64, 0usize, 0);
    let mut keep = false;
    let (mut callback, mut quantum) = (None, 5000usize);
    let mut at = 1;
    while let Some([b'-', letter, rest @ ..]) = argv.get(at).map(Vec::as_slice) {
        at += 1;
        if *letter == b'-' {
            break;
        }
        if *letter == b't' {
            trim = true;
            if rest.is_empty() {
                continue;
            }
        }
        let (letter, rest) = if *letter == b't' { (rest[0], &rest[1..]) } else { (*letter, rest) };
        let value = if rest.is_empty() {
            at += 1;
            argv.get(at - 1).cloned().unwrap_or_default()
        } else {
            rest.to_vec()
        };
        let amount = number::<i64>(&value);
        match letter {
            b'd' => delimiter = value.first().copied().unwrap_or(0),
            b'n' => most = amount.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            b'O' => {
                origin = amount.unwrap_or(0);
                keep = true;
            }
            b's' => skip = amount.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            b'u' => fd = amount.and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
            b'C' => callback = Some(value),
            b'c' => quantum = amount.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(5000),
            _ => {
                shell.complain_about(&argv[0], &[b'-', letter], "invalid option");
                return Ok(2);
            }
        }
    }
    let name = argv.get(at).cloned().unwrap_or_else(|| b"MAPFILE".to_vec());
    if !is_name(&name) {
        let shown = [b"`", &name[..], b"'"].concat();
        shell.complain_about(&argv[0], &shown, "not a valid identifier");
        return Ok(1);
    }
    let Some(input) = shell.descriptor(fd) else {
        shell.complain_about(
            &argv[0],
            fd.to_string().as_bytes(),
            "invalid file descriptor: Bad file descriptor",
        );
        return Ok(1);
    };
    if !keep {
        shell.clear_array(&name)?;
    }
    let mut reader = Reader::new(&input);
    let mut index = origin;
    let mut read = 0;
    loop {
        shell.check()?;
        if most > 0 && read >= most {
            return Ok(0);
        }
        let (text, end) = reader.until(shell, Some(delimiter), usize::MAX, false, None)?;
        let mut text = plain(&text);
        if end == End::Input && text.is_empty() {
            return Ok(0);
        }
        if skip > 0 {
            skip -= 1;
        } else {
            if !trim && end == End::Delimiter {
                text.push(delimiter);
            }
            read += 1;
            if let Some(callback) = &callback
                && read % quantum == 0
            {
                let call =
                    [&callback[..], format!(" {index} ").as_bytes(), &super::escape::single_quoted(&text)]
                        .concat();
                let line = shell.line;
                shell.script(&call, line, " eval:")?;
            }
            shell.set_element(&name, index.to_string().as_bytes(), text, false)?;
            index += 1;
        }
        if end == End::Input {
            return Ok(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_to_its_variables_as_in_bash() {
        let fields = |text: &str, ifs: &str, most| {
            let text: Vec<(u8, bool)> = text.bytes().map(|b| (b, false)).collect();
            split(&text, ifs.as_bytes(), most)
                .into_iter()
                .map(|f| String::from_utf8(f).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(" a b  c ", " \t\n", 2), ["a", "b  c"]);
        assert_eq!(fields("a:b:c", ":", 2), ["a", "b:c"]);
        assert_eq!(fields("a:b:", ":", 2), ["a", "b"]);
        assert_eq!(fields("a::b", ":", 9), ["a", "", "b"]);
    }
}
