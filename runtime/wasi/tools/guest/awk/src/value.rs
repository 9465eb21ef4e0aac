//! Values, numbers as texts, and formats.

use std::rc::Rc;

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    None,
    Number(f64),
    Text(Rc<[u8]>),
    /// Input that looks like a number is both.
    Both(Rc<[u8]>, f64),
}

impl Value {
    pub fn text(bytes: impl Into<Rc<[u8]>>) -> Value {
        Value::Text(bytes.into())
    }

    /// A value from outside: a number too, if it looks like one.
    pub fn input(bytes: &[u8]) -> Value {
        match looks_like(bytes) {
            Some(number) => Value::Both(bytes.into(), number),
            None => Value::Text(bytes.into()),
        }
    }

    pub fn number(&self) -> f64 {
        match self {
            Value::None => 0.0,
            Value::Number(number) | Value::Both(_, number) => *number,
            Value::Text(text) => number_at(text).0,
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Value::None => false,
            Value::Number(number) | Value::Both(_, number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
        }
    }

    pub fn to_text(&self, format: &[u8]) -> Rc<[u8]> {
        match self {
            Value::None => Rc::from(&b""[..]),
            Value::Text(text) | Value::Both(text, _) => text.clone(),
            Value::Number(number) => Rc::from(number_text(*number, format)),
        }
    }
}

/// A number as a text: whole ones in full, others by the format.
pub fn number_text(number: f64, format: &[u8]) -> Vec<u8> {
    if number.is_nan() {
        return if number.is_sign_negative() { b"-nan".to_vec() } else { b"nan".to_vec() };
    }
    if number.is_infinite() {
        return if number < 0.0 { b"-inf".to_vec() } else { b"inf".to_vec() };
    }
    if number == number.trunc() && number.abs() < 9_007_199_254_740_992.0 {
        return (number as i64).to_string().into_bytes();
    }
    print(format, &[Value::Number(number)], format)
}

/// The number that a text begins with, and the bytes it takes.
pub fn number_at(text: &[u8]) -> (f64, usize) {
    let blank = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut at = blank;
    if matches!(text.get(at), Some(b'+' | b'-')) {
        at += 1;
    }
    let digits =
        |from: usize| text[from.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(at);
    // Small whole numbers are most of them.
    if whole > 0 && whole < 16 && !matches!(text.get(at + whole), Some(b'.' | b'e' | b'E')) {
        let value =
            text[at..at + whole].iter().fold(0u64, |value, byte| value * 10 + u64::from(byte - b'0')) as f64;
        return (if text[blank] == b'-' { -value } else { value }, at + whole);
    }
    at += whole;
    let mut part = 0;
    if text.get(at) == Some(&b'.') {
        part = digits(at + 1);
        if whole + part > 0 {
            at += 1 + part;
        }
    }
    if whole + part == 0 {
        return (0.0, 0);
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let power = digits(at + 1 + sign);
        if power > 0 {
            at += 1 + sign + power;
        }
    }
    let number = std::str::from_utf8(&text[blank..at]).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    (number, at)
}

fn looks_like(text: &[u8]) -> Option<f64> {
    let last = text.iter().rposition(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(text[last], b'0'..=b'9' | b'.') {
        return None;
    }
    let (number, used) = number_at(text);
    (used == last + 1).then_some(number)
}

/// `printf`
pub fn print(format: &[u8], values: &[Value], convert: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut values = values.iter();
    let mut at = 0;
    while at < format.len() {
        let plain = memchr::memchr(b'%', &format[at..]).unwrap_or(format.len() - at);
        out.extend_from_slice(&format[at..at + plain]);
        at += plain;
        if at >= format.len() {
            break;
        }
        let start = at;
        at += 1;
        if format.get(at) == Some(&b'%') {
            out.push(b'%');
            at += 1;
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = format.get(at).filter(|byte| b"-+ #0'".contains(byte)) {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.other = true,
                b'0' => spec.zero = true,
                _ => {}
            }
            at += 1;
        }
        let mut number = |at: &mut usize| {
            if format.get(*at) == Some(&b'*') {
                *at += 1;
                return Some(values.next().map_or(0.0, Value::number) as i64);
            }
            let count =
                format[(*at).min(format.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = std::str::from_utf8(&format[*at..*at + count]).ok()?.parse().ok();
            *at += count;
            value
        };
        if let Some(width) = number(&mut at) {
            spec.left |= width < 0;
            spec.width = (width.unsigned_abs() as usize).min(1 << 24);
        }
        if format.get(at) == Some(&b'.') {
            at += 1;
            spec.precision = Some(number(&mut at).map_or(0, |value| value.clamp(0, 1 << 24) as usize));
        }
        while format.get(at).is_some_and(|byte| b"hlLqjzt".contains(byte)) {
            at += 1;
        }
        let Some(letter) = format.get(at) else {
            out.extend_from_slice(&format[start..]);
            break;
        };
        at += 1;
        let value = if b"cdiouxXeEfFgGaAs".contains(letter) { values.next() } else { None };
        let value = value.cloned().unwrap_or_default();
        match letter {
            b's' => {
                let text = value.to_text(convert);
                let cut = spec.precision.unwrap_or(text.len()).min(text.len());
                spec.zero = false;
                spec.pad(&mut out, b"", &text[..cut]);
            }
            b'c' => {
                let text = match &value {
                    Value::Number(number) => vec![*number as i64 as u8],
                    Value::None => Vec::new(),
                    value => value.to_text(convert).first().copied().into_iter().collect(),
                };
                spec.zero = false;
                spec.pad(&mut out, b"", &text);
            }
            b'd' | b'i' | b'u' => {
                let number = value.number();
                if !number.is_finite() {
                    spec.zero = false;
                    let text = number_text(number, b"%.6g");
                    spec.pad(&mut out, b"", &text);
                    continue;
                }
                let number = number.trunc();
                let digits = if number.abs() < 1e18 {
                    (number.abs() as u64).to_string()
                } else {
                    format!("{:.0}", number.abs())
                };
                spec.whole(&mut out, number < 0.0, "", digits);
            }
            b'o' | b'x' | b'X' => {
                let number = value.number().trunc() as i64 as u64;
                let digits = match letter {
                    b'o' => format!("{number:o}"),
                    b'x' => format!("{number:x}"),
                    _ => format!("{number:X}"),
                };
                let lead = match letter {
                    b'o' => "0",
                    b'x' => "0x",
                    _ => "0X",
                };
                spec.whole(&mut out, false, if spec.other && number != 0 { lead } else { "" }, digits);
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
                let number = value.number();
                if !number.is_finite() {
                    spec.zero = false;
                    let text = number_text(number, b"%.6g");
                    spec.pad(&mut out, b"", &text);
                    continue;
                }
                let precision = spec.precision.unwrap_or(6);
                let size = number.abs();
                let mut text = match letter.to_ascii_lowercase() {
                    b'f' => format!("{size:.precision$}"),
                    b'e' => exponent(size, precision),
                    _ => general(size, precision.max(1), spec.other),
                };
                if letter.is_ascii_uppercase() {
                    text.make_ascii_uppercase();
                }
                let sign = spec.sign(number.is_sign_negative());
                spec.pad(&mut out, sign.as_bytes(), text.as_bytes());
            }
            _ => out.extend_from_slice(&format[start..at]),
        }
    }
    out
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    other: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn whole(&mut self, out: &mut Vec<u8>, negative: bool, lead: &str, mut digits: String) {
        if let Some(precision) = self.precision {
            self.zero = false;
            digits = format!("{digits:0>precision$}");
        }
        let sign = format!("{}{lead}", self.sign(negative));
        self.pad(out, sign.as_bytes(), digits.as_bytes());
    }

    fn pad(&self, out: &mut Vec<u8>, sign: &[u8], text: &[u8]) {
        let fill = self.width.saturating_sub(sign.len() + text.len());
        if self.left {
            out.extend_from_slice(sign);
            out.extend_from_slice(text);
            out.resize(out.len() + fill, b' ');
        } else if self.zero {
            out.extend_from_slice(sign);
            out.resize(out.len() + fill, b'0');
            out.extend_from_slice(text);
        } else {
            out.resize(out.len() + fill, b' ');
            out.extend_from_slice(sign);
            out.extend_from_slice(text);
        }
    }
}

fn exponent(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

fn general(number: f64, precision: usize, keep: bool) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let scientific = format!("{number:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trim = |text: String| {
        if keep || !text.contains('.') {
            text
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if power < -4 || power >= precision as i32 {
        let (digits, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        format!("{}e{}{:02}", trim(digits.to_owned()), if power < 0 { '-' } else { '+' }, power.abs())
    } else {
        trim(format!("{number:.*}", (precision as i32 - 1 - power).max(0) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, number: f64) -> String {
        String::from_utf8(print(format.as_bytes(), &[Value::Number(number)], b"%.6g")).unwrap()
    }

    #[test]
    fn numbers_are_shown_as_c_shows_them() {
        assert_eq!(shown("%.6g", 1.23456789), "1.23457");
        assert_eq!(shown("%g", 1e-5), "1e-05");
        assert_eq!(shown("%g", 123456789.0), "1.23457e+08");
        assert_eq!(shown("%5.2f|", 2.5), " 2.50|");
        assert_eq!(shown("%-6d|", 42.0), "42    |");
        assert_eq!(shown("%06.1f", -2.25), "-002.2");
        assert_eq!(shown("%x %%", 255.0), "ff %");
        assert_eq!(shown("%+.3e", 12345.678), "+1.235e+04");
    }

    #[test]
    fn input_is_a_number_only_if_all_of_it_is() {
        assert!(matches!(Value::input(b" 12.5 "), Value::Both(_, number) if number == 12.5));
        assert!(matches!(Value::input(b"12a"), Value::Text(_)));
        assert!(matches!(Value::input(b""), Value::Text(_)));
        assert_eq!(Value::text(&b"-3e2x"[..]).number(), -300.0);
    }
}
