//! `printf`, with all of bash's formats.

use super::{Done, escape, time};
use crate::shell::{Leave, Shell};

/// Widest field, in bytes: more memory than that is asked for first.
const WIDE: usize = 1 << 20;

/// One directive: flags, width, precision, letter.
#[derive(Default)]
struct Directive {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

struct Printer<'a> {
    shell: &'a mut Shell,
    out: Vec<u8>,
    arguments: &'a [Vec<u8>],
    at: usize,
    status: i32,
}

pub(super) fn printf(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut at = 1;
    let mut variable = None;
    while let Some(argument) = argv.get(at) {
        match argument.as_slice() {
            b"--" => {
                at += 1;
                break;
            }
            b"-v" => {
                variable = argv.get(at + 1).cloned();
                at += 2;
            }
            [b'-', b'v', name @ ..] => {
                variable = Some(name.to_vec());
                at += 1;
            }
            [b'-', _, ..] => {
                shell.complain_about(&argv[0], &argument[..2], "invalid option");
                shell.print_error(b"printf: usage: printf [-v var] format [arguments]\n");
                return Ok(2);
            }
            _ => break,
        }
    }
    let Some(format) = argv.get(at) else {
        shell.print_error(b"printf: usage: printf [-v var] format [arguments]\n");
        return Ok(2);
    };
    if let Some(name) = &variable {
        let base = name.split(|b| *b == b'[').next().unwrap_or_default();
        if !crate::shell::is_name(base) {
            let shown = [b"`", &name[..], b"'"].concat();
            shell.complain_about(&argv[0], &shown, "not a valid identifier");
            return Ok(2);
        }
    }
    let arguments = &argv[(at + 1).min(argv.len())..];
    let mut printer = Printer { shell, out: Vec::new(), arguments, at: 0, status: 0 };
    loop {
        let before = printer.at;
        let goes_on = printer.once(format)?;
        if !goes_on || printer.at >= arguments.len() || printer.at == before {
            break;
        }
        printer.shell.check()?;
        let size = printer.out.len();
        printer.shell.room(size)?;
    }
    let (out, status) = (printer.out, printer.status);
    if let Some(name) = variable {
        shell.set(&name, out, false)?;
        return Ok(status);
    }
    let printed = shell.printed(&argv[0], &out)?;
    Ok(printed.max(status))
}

impl Printer<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        let argument = self.arguments.get(self.at).cloned();
        self.at += 1;
        argument
    }

    /// Formats once; false when `\c` or a mistake ends all.
    fn once(&mut self, format: &[u8]) -> Result<bool, Leave> {
        let mut at = 0;
        while at < format.len() {
            match format[at] {
                b'\\' => {
                    if format.get(at + 1) == Some(&b'c') {
                        return Ok(false);
                    }
                    let (bytes, used) = escape::format(&format[at + 1..]);
                    self.out.extend(bytes);
                    at += 1 + used;
                }
                b'%' => match self.directive(format, at + 1)? {
                    Some(next) => at = next,
                    None => return Ok(false),
                },
                byte => {
                    self.out.push(byte);
                    at += 1;
                }
            }
        }
        Ok(true)
    }

    fn star(&mut self) -> i64 {
        match self.next() {
            Some(text) => self.integer(&text) as i64,
            None => 0,
        }
    }

    /// One directive: where the format goes on.
    fn directive(&mut self, format: &[u8], start: usize) -> Result<Option<usize>, Leave> {
        let mut d = Directive::default();
        let mut at = start;
        while let Some(flag) = format.get(at) {
            match flag {
                b'-' => d.left = true,
                b'+' => d.plus = true,
                b' ' => d.space = true,
                b'0' => d.zero = true,
                b'#' => d.alternate = true,
                b'\'' => {}
                _ => break,
            }
            at += 1;
        }
        let number = |at: &mut usize| {
            let mut value = 0usize;
            while let Some(digit) = format.get(*at).filter(|b| b.is_ascii_digit()) {
                value = value.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
                *at += 1;
            }
            value
        };
        if format.get(at) == Some(&b'*') {
            let width = self.star();
            d.left |= width < 0;
            d.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            at += 1;
        } else {
            d.width = number(&mut at);
        }
        if format.get(at) == Some(&b'.') {
            at += 1;
            if format.get(at) == Some(&b'*') {
                d.precision = usize::try_from(self.star()).ok();
                at += 1;
            } else {
                d.precision = Some(number(&mut at));
            }
        }
        let largest = d.width.max(d.precision.unwrap_or(0));
        if largest > WIDE {
            // No format of C is wider than an `int` counts.
            if largest > i32::MAX as usize {
                self.shell.complain_as(b"printf", "write error: Value too large for defined data type");
                self.status = 1;
                return Ok(None);
            }
            self.shell.room(largest.saturating_mul(2))?;
        }
        while matches!(format.get(at), Some(b'h' | b'l' | b'L' | b'j' | b'z' | b't')) {
            at += 1;
        }
        let Some(&letter) = format.get(at) else {
            let shown = [b"`%", &format[start..], b"'"].concat();
            self.shell.complain_about(b"printf", &shown, "missing format character");
            self.status = 1;
            return Ok(None);
        };
        at += 1;
        match letter {
            b'%' => self.out.push(b'%'),
            b's' => {
                let text = self.next().unwrap_or_default();
                let cut = d.precision.map_or(text.len(), |p| self.prefix(&text, p));
                self.padded(&text[..cut], &d);
            }
            b'b' => {
                let text = self.next().unwrap_or_default();
                let (text, ends) = escape::echo(&octal_escapes(&text));
                let cut = d.precision.map_or(text.len(), |p| self.prefix(&text, p));
                self.padded(&text[..cut], &d);
                if ends {
                    return Ok(None);
                }
            }
            b'q' | b'Q' => {
                let text = self.next().unwrap_or_default();
                self.padded(&escape::backslashed(&text), &d);
            }
            b'c' => {
                let text = self.next().unwrap_or_default();
                self.padded(&text[..text.len().min(1)], &d);
            }
            b'n' => {
                if let Some(name) = self.next() {
                    let count = self.out.len().to_string().into_bytes();
                    self.shell.set(&name, count, false)?;
                }
            }
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
                let text = self.next();
                let value = text.map_or(0, |t| self.integer(&t));
                self.whole(value, letter, &d);
            }
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
                let text = self.next();
                let value = text.map_or(0.0, |t| self.float(&t));
                let shown = float(value, letter, &d);
                self.number(&shown, &d, value.is_finite());
            }
            b'(' => {
                let Some(end) = format[at..].iter().position(|b| *b == b')') else {
                    self.status = 1;
                    return Ok(None);
                };
                let pattern = &format[at..at + end];
                at += end + 1;
                if format.get(at) == Some(&b'T') {
                    at += 1;
                }
                let seconds = match self.next() {
                    None => now(self.shell),
                    Some(text) if text == b"-1" => now(self.shell),
                    Some(text) if text == b"-2" => {
                        now(self.shell) - self.shell.started.elapsed().as_secs() as i64
                    }
                    Some(text) => self.integer(&text) as i64,
                };
                let pattern: &[u8] = if pattern.is_empty() { b"%X" } else { pattern };
                self.padded(&time::format(pattern, seconds), &d);
            }
            other => {
                let shown = [b"`", &[other][..], b"'"].concat();
                self.shell.complain_about(b"printf", &shown, "invalid format character");
                self.status = 1;
                return Ok(None);
            }
        }
        Ok(Some(at))
    }

    /// Length in bytes of so many characters... of bytes, as `printf` of bash counts in its precision.
    fn prefix(&self, text: &[u8], most: usize) -> usize {
        if !self.shell.is_utf8() {
            return text.len().min(most);
        }
        let text = String::from_utf8_lossy(text);
        text.char_indices().nth(most).map_or(text.len(), |(at, _)| at)
    }

    fn padded(&mut self, text: &[u8], d: &Directive) {
        let length =
            if self.shell.is_utf8() { String::from_utf8_lossy(text).chars().count() } else { text.len() };
        let fill = d.width.saturating_sub(length);
        if d.left {
            self.out.extend_from_slice(text);
            self.out.resize(self.out.len() + fill, b' ');
        } else {
            self.out.resize(self.out.len() + fill, b' ');
            self.out.extend_from_slice(text);
        }
    }

    fn whole(&mut self, value: i128, letter: u8, d: &Directive) {
        let (sign, mut digits) = match letter {
            b'd' | b'i' => {
                let sign = match (value < 0, d.plus, d.space) {
                    (true, ..) => "-",
                    (_, true, _) => "+",
                    (_, _, true) => " ",
                    _ => "",
                };
                (sign, value.unsigned_abs().to_string())
            }
            _ => {
                let bits = value as u64;
                let digits = match letter {
                    b'u' => bits.to_string(),
                    b'o' => format!("{bits:o}"),
                    b'x' => format!("{bits:x}"),
                    _ => format!("{bits:X}"),
                };
                let prefix = match letter {
                    b'x' if d.alternate && bits != 0 => "0x",
                    b'X' if d.alternate && bits != 0 => "0X",
                    b'o' if d.alternate && bits != 0 => "0",
                    _ => "",
                };
                (prefix, digits)
            }
        };
        if let Some(precision) = d.precision {
            if precision == 0 && value == 0 {
                digits.clear();
            }
            digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
        }
        let plain = Directive {
            zero: d.zero && d.precision.is_none(),
            left: d.left,
            width: d.width,
            ..Directive::default()
        };
        self.number(&format!("{sign}{digits}"), &plain, true);
    }

    /// A number, with zeros behind its sign when asked for.
    fn number(&mut self, text: &str, d: &Directive, finite: bool) {
        let fill = d.width.saturating_sub(text.len());
        if d.left {
            self.out.extend_from_slice(text.as_bytes());
            self.out.resize(self.out.len() + fill, b' ');
        } else if d.zero && finite {
            let signs = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
            let signs = if text[signs..].starts_with("0x") || text[signs..].starts_with("0X") {
                signs + 2
            } else {
                signs
            };
            self.out.extend_from_slice(&text.as_bytes()[..signs]);
            self.out.resize(self.out.len() + fill, b'0');
            self.out.extend_from_slice(&text.as_bytes()[signs..]);
        } else {
            self.out.resize(self.out.len() + fill, b' ');
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    fn invalid(&mut self, text: &[u8]) {
        self.shell.complain_about(b"printf", text, "invalid number");
        self.status = 1;
    }

    /// An integer argument, as `strtoimax` reads it; `'c` is a character's code.
    fn integer(&mut self, text: &[u8]) -> i128 {
        if let [b'\'' | b'"', rest @ ..] = text {
            return String::from_utf8_lossy(rest).chars().next().map_or(0, |c| i128::from(u32::from(c)));
        }
        let trimmed = text.trim_ascii_start();
        let (negative, digits) = match trimmed {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (base, digits) = match digits {
            [b'0', b'x' | b'X', rest @ ..] => (16, rest),
            [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
            rest => (10, rest),
        };
        let length = digits.iter().take_while(|b| char::from(**b).is_digit(base)).count();
        let value = digits[..length].iter().fold(0i128, |n, b| {
            let digit = char::from(*b).to_digit(base).unwrap_or(0);
            (n * i128::from(base) + i128::from(digit)).min(i128::from(u64::MAX) + 1)
        });
        let is_none = length == 0 && base != 8 && !text.is_empty();
        if length != digits.len() || is_none {
            self.invalid(text);
        }
        let value = if negative { -value } else { value };
        if value > i128::from(u64::MAX) || value < i128::from(i64::MIN) {
            self.shell.complain_about(b"printf: warning", text, "Numerical result out of range");
            return value.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        }
        value
    }

    fn float(&mut self, text: &[u8]) -> f64 {
        if let [b'\'' | b'"', rest @ ..] = text {
            return String::from_utf8_lossy(rest).chars().next().map_or(0.0, |c| f64::from(u32::from(c)));
        }
        let shown = String::from_utf8_lossy(text);
        let trimmed = shown.trim();
        if trimmed.is_empty() {
            return 0.0;
        }
        if let Some(hex) = trimmed.strip_prefix("0x")
            && let Ok(value) = u64::from_str_radix(hex, 16)
        {
            return value as f64;
        }
        let length = (0..=trimmed.len())
            .rev()
            .filter(|n| trimmed.is_char_boundary(*n))
            .find(|n| trimmed[..*n].parse::<f64>().is_ok());
        match length {
            Some(length) => {
                if length != trimmed.len() {
                    self.invalid(text);
                }
                trimmed[..length].parse().unwrap_or(0.0)
            }
            None => {
                self.invalid(text);
                0.0
            }
        }
    }
}

/// `%b` knows `\101` too, where `echo -e` wants `\0101`.
fn octal_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        out.push(text[at]);
        if text[at] == b'\\'
            && let Some(&next) = text.get(at + 1)
        {
            if (b'1'..=b'7').contains(&next) {
                out.push(b'0');
            } else {
                out.push(next);
                at += 1;
            }
        }
        at += 1;
    }
    out
}

fn now(shell: &Shell) -> i64 {
    let since = shell.world.tree.now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |s| i64::try_from(s.as_secs()).unwrap_or(i64::MAX))
}

/// A number as C's `%f`, `%e` and `%g` write it.
fn float(value: f64, letter: u8, d: &Directive) -> String {
    let sign = match (value.is_sign_negative(), d.plus, d.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let upper = letter.is_ascii_uppercase();
    let magnitude = value.abs();
    let text = if value.is_nan() {
        "nan".to_string()
    } else if value.is_infinite() {
        "inf".to_string()
    } else {
        let precision = d.precision.unwrap_or(6);
        match letter.to_ascii_lowercase() {
            b'f' => format!("{magnitude:.precision$}"),
            b'e' => exponential(magnitude, precision),
            b'a' => format!("{magnitude:e}"),
            _ => general(magnitude, precision.max(1), d.alternate),
        }
    };
    let text = if upper { text.to_uppercase() } else { text };
    format!("{sign}{text}")
}

fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn general(value: f64, precision: usize, alternate: bool) -> String {
    let rounded = format!("{value:.*e}", precision - 1);
    let exponent: i64 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: String| {
        if alternate || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    if exponent < -4 || exponent >= precision as i64 {
        let text = exponential(value, precision - 1);
        let (mantissa, rest) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{rest}", trim(mantissa.to_string()));
    }
    let decimals = usize::try_from(precision as i64 - 1 - exponent).unwrap_or(0);
    trim(format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_in_c() {
        let plain = Directive::default();
        let short = Directive { precision: Some(1), ..Directive::default() };
        assert_eq!(float(3.14259, b'f', &short), "3.1");
        assert_eq!(float(12345.678, b'e', &plain), "1.234568e+04");
        assert_eq!(float(0.0001, b'g', &plain), "0.0001");
        assert_eq!(float(1e10, b'g', &plain), "1e+10");
        assert_eq!(float(100000.0, b'g', &plain), "100000");
    }
}
