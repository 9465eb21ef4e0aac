//! Values as jq 1.6 writes them.

use bstr::ByteSlice;
use jaq_json::{Num, Val};
use std::io::{self, Write};

/// How values are written.
pub struct Shape {
    /// What each level is moved in by; all on one line if none.
    pub indent: Option<String>,
    /// Texts are written as they are.
    pub raw: bool,
    /// Nothing stands between values.
    pub joined: bool,
    /// Only ASCII is written.
    pub ascii: bool,
    /// Keys are sorted.
    pub sorted: bool,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { indent: Some("  ".into()), raw: false, joined: false, ascii: false, sorted: false }
    }
}

impl Shape {
    /// Writes a value and what ends it.
    pub fn write(&self, out: &mut dyn Write, value: &Val) -> io::Result<()> {
        match value {
            Val::TStr(text) | Val::BStr(text) if self.raw => out.write_all(text)?,
            value => self.value(out, value, 0)?,
        }
        if self.joined { Ok(()) } else { out.write_all(b"\n") }
    }

    fn value(&self, out: &mut dyn Write, value: &Val, level: usize) -> io::Result<()> {
        match value {
            Val::Null => out.write_all(b"null"),
            Val::Bool(value) => write!(out, "{value}"),
            Val::Num(number) => out.write_all(text_of(number).as_bytes()),
            Val::TStr(text) | Val::BStr(text) => self.string(out, text),
            Val::Arr(values) if values.is_empty() => out.write_all(b"[]"),
            Val::Arr(values) => {
                out.write_all(b"[")?;
                for (at, value) in values.iter().enumerate() {
                    self.begin(out, at, level + 1)?;
                    self.value(out, value, level + 1)?;
                }
                self.end(out, level)?;
                out.write_all(b"]")
            }
            Val::Obj(fields) if fields.is_empty() => out.write_all(b"{}"),
            Val::Obj(fields) => {
                let mut fields: Vec<(&Val, &Val)> = fields.iter().collect();
                if self.sorted {
                    fields.sort_by(|a, b| a.0.cmp(b.0));
                }
                out.write_all(b"{")?;
                for (at, (key, value)) in fields.into_iter().enumerate() {
                    self.begin(out, at, level + 1)?;
                    self.value(out, key, level + 1)?;
                    out.write_all(if self.indent.is_some() { b": " } else { b":" })?;
                    self.value(out, value, level + 1)?;
                }
                self.end(out, level)?;
                out.write_all(b"}")
            }
        }
    }

    fn begin(&self, out: &mut dyn Write, at: usize, level: usize) -> io::Result<()> {
        if at > 0 {
            out.write_all(b",")?;
        }
        self.end(out, level)
    }

    fn end(&self, out: &mut dyn Write, level: usize) -> io::Result<()> {
        match &self.indent {
            Some(indent) => write!(out, "\n{}", indent.repeat(level)),
            None => Ok(()),
        }
    }

    fn string(&self, out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
        out.write_all(b"\"")?;
        for c in text.chars() {
            match c {
                '"' => out.write_all(b"\\\"")?,
                '\\' => out.write_all(b"\\\\")?,
                '\n' => out.write_all(b"\\n")?,
                '\t' => out.write_all(b"\\t")?,
                '\r' => out.write_all(b"\\r")?,
                '\u{8}' => out.write_all(b"\\b")?,
                '\u{c}' => out.write_all(b"\\f")?,
                c if (c as u32) < 0x20 || c == '\u{7f}' => write!(out, "\\u{:04x}", c as u32)?,
                c if self.ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
                c => write!(out, "{c}")?,
            }
        }
        out.write_all(b"\"")
    }
}

/// Most digits of a whole number that a double keeps.
const EXACT: usize = 15;

/// A number as jq says it: all are doubles.
pub fn text_of(number: &Num) -> String {
    let text = number.to_string();
    let digits = text.trim_start_matches('-');
    if digits.len() <= EXACT && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text;
    }
    let float = match number {
        Num::Float(float) => *float,
        _ => text.parse().unwrap_or(f64::NAN),
    };
    double(float)
}

/// A double with the fewest digits that read back as it; large and small ones with an exponent.
fn double(float: f64) -> String {
    if float.is_nan() {
        return "null".into();
    }
    let float = float.clamp(f64::MIN, f64::MAX);
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let text = format!("{:e}", float.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let count = digits.len() as i32;
    if float == 0.0 {
        format!("{sign}0")
    } else if point <= -4 || point > count + 15 {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
        let (mark, power) = if point < 1 { ('-', 1 - point) } else { ('+', point - 1) };
        format!("{sign}{first}{rest}e{mark}{power:02}")
    } else if point <= 0 {
        format!("{sign}0.{}{digits}", "0".repeat(-point as usize))
    } else if point >= count {
        format!("{sign}{digits}{}", "0".repeat((point - count) as usize))
    } else {
        let (whole, rest) = digits.split_at(point as usize);
        format!("{sign}{whole}.{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::double;

    #[test]
    fn doubles_are_written_as_jq_does() {
        let said = [3.0, 1.1, 1e17, 1e15, 0.0001, 0.00001, 1.5e300, -0.0, 1.0 / 3.0, 12345678901234567890.0];
        let said = said.map(double);
        let want = [
            "3",
            "1.1",
            "1e+17",
            "1000000000000000",
            "0.0001",
            "1e-05",
            "1.5e+300",
            "-0",
            "0.3333333333333333",
        ];
        assert_eq!(said[..9], want);
        assert_eq!(said[9], "12345678901234567000");
        assert_eq!(double(f64::INFINITY), "1.7976931348623157e+308");
    }
}
