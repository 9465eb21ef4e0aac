//! The functions that awk has.

use super::array::Cell;
use super::evaluate::name_of;
use super::record::{Fields, cut, separator};
use super::{CONVFMT, FS, Jump, Machine, RLENGTH, RSTART, Run, fail};
use crate::syntax::{Array as ArrayName, Expr};
use crate::value::{Value, print};
use regex::bytes::Regex;
use std::rc::Rc;

impl<'a> Machine<'a> {
    pub(super) fn builtin(&mut self, name: &str, args: &[Expr]) -> Run<Value> {
        let convert = self.text(CONVFMT);
        let count = args.len();
        let wrong = || Jump::Fail(format!("wrong number of arguments in call to {name}"));
        let arg = |at: usize| args.get(at).ok_or_else(wrong);
        let number = |machine: &mut Self, at: usize| -> Run<f64> { Ok(machine.eval(arg(at)?)?.number()) };
        let text = |machine: &mut Self, at: usize| -> Run<Rc<[u8]>> {
            Ok(machine.eval(arg(at)?)?.to_text(&convert))
        };
        Ok(match name {
            "length" => match args.first() {
                None => {
                    let record = self.whole_record();
                    Value::Number(record.len() as f64)
                }
                Some(Expr::Global(at)) if matches!(self.globals[*at], Cell::Array(_)) => {
                    let array = self.array(ArrayName::Global(*at))?;
                    let length = array.borrow().values.len();
                    Value::Number(length as f64)
                }
                Some(Expr::Local(at))
                    if matches!(
                        self.frames.last().expect("locals are named in functions only")[*at],
                        Cell::Array(_)
                    ) =>
                {
                    let array = self.array(ArrayName::Local(*at))?;
                    let length = array.borrow().values.len();
                    Value::Number(length as f64)
                }
                Some(_) => Value::Number(text(self, 0)?.len() as f64),
            },
            "substr" => {
                let text = text(self, 0)?;
                let from = round(number(self, 1)?);
                let to = if count > 2 { from + round(number(self, 2)?) } else { f64::INFINITY };
                let start = from.max(1.0);
                let end = to.min(text.len() as f64 + 1.0);
                if start >= end || start.is_nan() || end.is_nan() {
                    Value::text(&b""[..])
                } else {
                    Value::text(&text[start as usize - 1..end as usize - 1])
                }
            }
            "index" => {
                let (text, part) = (text(self, 0)?, text(self, 1)?);
                Value::Number(memchr::memmem::find(&text, &part).map_or(0.0, |at| at as f64 + 1.0))
            }
            "split" => {
                let text = text(self, 0)?;
                let array = self.array(name_of(arg(1)?).ok_or_else(wrong)?)?;
                let how = match args.get(2) {
                    None => {
                        let text = self.text(FS);
                        separator(&text).or_else(fail)?
                    }
                    Some(Expr::Regex(pattern)) => Fields::Pattern(self.regex(pattern)?),
                    Some(expr) => {
                        let text = self.eval(expr)?.to_text(&convert);
                        separator(&text).or_else(fail)?
                    }
                };
                let mut array = array.borrow_mut();
                array.values.clear();
                let mut count = 0usize;
                cut(&text, &how, false, |field| {
                    count += 1;
                    array.set(Rc::from(count.to_string().as_bytes()), Value::input(field));
                });
                Value::Number(count as f64)
            }
            "sub" | "gsub" => {
                let regex = self.pattern_of(arg(0)?)?;
                let with = text(self, 1)?;
                let whole = Expr::Field(Box::new(Expr::Number(0.0)));
                let target = args.get(2).unwrap_or(&whole);
                let old = self.eval(target)?.to_text(&convert);
                let (new, count) = replace(&regex, &old, &with, name == "gsub", None);
                if count > 0
                    && matches!(target, Expr::Global(_) | Expr::Local(_) | Expr::Field(_) | Expr::Index(..))
                {
                    self.set(target, Value::text(new))?;
                }
                Value::Number(count as f64)
            }
            "gensub" => {
                let regex = self.pattern_of(arg(0)?)?;
                let with = text(self, 1)?;
                let which = text(self, 2)?;
                let old = if count > 3 { text(self, 3)? } else { self.whole_record() };
                let all = which.first().is_some_and(|byte| matches!(byte, b'g' | b'G'));
                let nth = if all { None } else { Some((Value::Text(which).number() as usize).max(1)) };
                Value::text(replace_groups(&regex, &old, &with, nth))
            }
            "match" => {
                let text = text(self, 0)?;
                let regex = self.pattern_of(arg(1)?)?;
                if let Some(array) = args.get(2) {
                    let array = self.array(name_of(array).ok_or_else(wrong)?)?;
                    let mut array = array.borrow_mut();
                    array.values.clear();
                    if let Some(groups) = regex.captures(&text) {
                        for (at, group) in groups.iter().enumerate() {
                            if let Some(group) = group {
                                let key = at.to_string();
                                array.set(Rc::from(key.as_bytes()), Value::input(group.as_bytes()));
                            }
                        }
                    }
                }
                let (start, length) = regex
                    .find(&text)
                    .map_or((0.0, -1.0), |found| (found.start() as f64 + 1.0, found.len() as f64));
                self.globals[RSTART] = Cell::Value(Value::Number(start));
                self.globals[RLENGTH] = Cell::Value(Value::Number(length));
                Value::Number(start)
            }
            "sprintf" => {
                let format = text(self, 0)?;
                let values = args[1..].iter().map(|arg| self.eval(arg)).collect::<Run<Vec<_>>>()?;
                Value::text(print(&format, &values, &convert))
            }
            "sin" => Value::Number(number(self, 0)?.sin()),
            "cos" => Value::Number(number(self, 0)?.cos()),
            "atan2" => Value::Number(number(self, 0)?.atan2(number(self, 1)?)),
            "exp" => Value::Number(number(self, 0)?.exp()),
            "log" => Value::Number(number(self, 0)?.ln()),
            "sqrt" => Value::Number(number(self, 0)?.sqrt()),
            "int" => Value::Number(number(self, 0)?.trunc()),
            "rand" => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                Value::Number((self.random >> 11) as f64 / (1u64 << 53) as f64)
            }
            "srand" => {
                let old = self.seed;
                self.seed = if count > 0 { number(self, 0)? } else { now() };
                self.random =
                    (self.seed.to_bits() ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
                Value::Number(old)
            }
            "tolower" => Value::text(text(self, 0)?.to_ascii_lowercase()),
            "toupper" => Value::text(text(self, 0)?.to_ascii_uppercase()),
            "system" => {
                let command = text(self, 0)?;
                self.flush_all();
                let argv = [b"sh".to_vec(), b"-c".to_vec(), command.to_vec()];
                Value::Number(f64::from(guest_host::spawn(&argv, [0, 1, 2]).unwrap_or(127)))
            }
            "close" => {
                let name = text(self, 0)?;
                Value::Number(self.close(&name))
            }
            "fflush" => {
                self.flush_all();
                Value::Number(0.0)
            }
            "systime" => Value::Number(now()),
            "strftime" => {
                let format = if count > 0 { text(self, 0)? } else { Rc::from(&b"%c"[..]) };
                let time = if count > 1 { number(self, 1)? } else { now() };
                let format = String::from_utf8_lossy(&format).replace("%c", "%a %b %d %T %Y");
                Value::text(guest_git::show_date(time as i64, &format!("format:{format}")).into_bytes())
            }
            "mktime" => {
                let text = text(self, 0)?;
                let parts: Vec<i64> = String::from_utf8_lossy(&text)
                    .split_whitespace()
                    .map(|part| part.parse().unwrap_or(0))
                    .collect();
                let [year, month, day, hour, minute, second, ..] = parts.as_slice() else {
                    return Ok(Value::Number(-1.0));
                };
                let date =
                    guest_git::read_date(&format!("{year}-{month:02}-{day:02} 00:00:00")).unwrap_or(-1);
                Value::Number((date + hour * 3600 + minute * 60 + second) as f64)
            }
            "and" => Value::Number((number(self, 0)? as u64 & number(self, 1)? as u64) as f64),
            "or" => Value::Number((number(self, 0)? as u64 | number(self, 1)? as u64) as f64),
            "xor" => Value::Number((number(self, 0)? as u64 ^ number(self, 1)? as u64) as f64),
            "lshift" => Value::Number(
                (number(self, 0)? as u64).checked_shl(number(self, 1)? as u32).unwrap_or(0) as f64,
            ),
            "rshift" => Value::Number(
                (number(self, 0)? as u64).checked_shr(number(self, 1)? as u32).unwrap_or(0) as f64,
            ),
            "compl" => Value::Number((!(number(self, 0)? as u64) & ((1 << 53) - 1)) as f64),
            "strtonum" => {
                let text = String::from_utf8_lossy(&text(self, 0)?).into_owned();
                let text = text.trim();
                Value::Number(match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(hex) => u64::from_str_radix(hex, 16).unwrap_or(0) as f64,
                    None => Value::text(text.as_bytes()).number(),
                })
            }
            "asort" | "asorti" => {
                let array = self.array(name_of(arg(0)?).ok_or_else(wrong)?)?;
                let mut values: Vec<Value> = {
                    let array = array.borrow();
                    if name == "asort" {
                        array.values.values().map(|(_, value)| value.clone()).collect()
                    } else {
                        array.values.keys().map(|key| Value::Text(key.clone())).collect()
                    }
                };
                values.sort_by(|a, b| self.compare(a, b).unwrap_or(std::cmp::Ordering::Equal));
                let target = match args.get(1) {
                    Some(target) => self.array(name_of(target).ok_or_else(wrong)?)?,
                    None => array,
                };
                let mut target = target.borrow_mut();
                target.values.clear();
                let count = values.len();
                for (at, value) in values.into_iter().enumerate() {
                    target.set(Rc::from((at + 1).to_string().as_bytes()), value);
                }
                Value::Number(count as f64)
            }
            "isarray" | "typeof" => {
                let cell = match arg(0)? {
                    Expr::Global(at) => self.globals[*at].clone(),
                    Expr::Local(at) => {
                        self.frames.last().expect("locals are named in functions only")[*at].clone()
                    }
                    expr => Cell::Value(self.eval(expr)?),
                };
                if name == "isarray" {
                    Value::Number(f64::from(u8::from(matches!(cell, Cell::Array(_)))))
                } else {
                    Value::text(match cell {
                        Cell::Array(_) => &b"array"[..],
                        Cell::Unset | Cell::Value(Value::None) => b"untyped",
                        Cell::Value(Value::Number(_)) => b"number",
                        Cell::Value(Value::Both(..)) => b"strnum",
                        Cell::Value(Value::Text(_)) => b"string",
                    })
                }
            }
            name => return fail(format!("function {name} not known")),
        })
    }
}

pub(super) fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs() as f64)
}

// To the nearest whole number, halves to the even one.
fn round(number: f64) -> f64 {
    number.round_ties_even()
}

// Puts a text in place of what fits: `&` is what fitted.
fn replace(regex: &Regex, text: &[u8], with: &[u8], all: bool, _: Option<()>) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut count) = (0, 0);
    let mut last_end = None;
    for found in regex.find_iter(text) {
        // An empty fit right after another is none.
        if found.is_empty() && last_end == Some(found.start()) {
            continue;
        }
        out.extend_from_slice(&text[at..found.start()]);
        let mut bytes = with.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' if bytes.peek() == Some(&&b'&') => {
                    out.push(b'&');
                    bytes.next();
                }
                b'\\' if bytes.peek() == Some(&&b'\\') => {
                    out.push(b'\\');
                    bytes.next();
                }
                b'&' => out.extend_from_slice(found.as_bytes()),
                byte => out.push(*byte),
            }
        }
        at = found.end();
        last_end = Some(at);
        count += 1;
        if !all {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
    (out, count)
}

// The same with groups: `\1`, and `\0` or `&` for the whole.
fn replace_groups(regex: &Regex, text: &[u8], with: &[u8], nth: Option<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (number, groups) in regex.captures_iter(text).enumerate() {
        let Some(found) = groups.get(0) else { continue };
        if nth.is_some_and(|nth| nth != number + 1) {
            continue;
        }
        out.extend_from_slice(&text[at..found.start()]);
        let mut bytes = with.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => match bytes.next() {
                    Some(digit @ b'0'..=b'9') => out.extend_from_slice(
                        groups.get(usize::from(digit - b'0')).map_or(b"", |group| group.as_bytes()),
                    ),
                    Some(byte) => out.push(*byte),
                    None => out.push(b'\\'),
                },
                b'&' => out.extend_from_slice(found.as_bytes()),
                byte => out.push(*byte),
            }
        }
        at = found.end();
    }
    out.extend_from_slice(&text[at..]);
    out
}
