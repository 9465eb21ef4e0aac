//! What expressions give.

use super::array::{Cell, Shared};
use super::record::{FIELDS, separator};
use super::{CONVFMT, FS, Jump, Machine, NF, RS, Run, SUBSEP, fail};
use crate::input::Separator;
use crate::pattern;
use crate::syntax::{Array as ArrayName, Expr, Op};
use crate::value::Value;
use regex::bytes::Regex;
use std::rc::Rc;

/// How deep functions may call.
const DEEPEST: usize = 2000;

impl<'a> Machine<'a> {
    pub(super) fn set_global(&mut self, at: usize, value: Value) -> Run<()> {
        match at {
            NF => {
                self.take_apart();
                let count = value.number();
                if !(0.0..=FIELDS as f64).contains(&count) {
                    return fail("negative or too large value assigned to NF");
                }
                self.fields.resize(count as usize, Value::None);
                self.stale = true;
            }
            FS => {
                let text = value.to_text(b"%.6g");
                // The record in hand is still taken apart as it was read.
                self.take_apart();
                self.how = separator(&text).or_else(fail)?;
            }
            RS => {
                let text = value.to_text(b"%.6g");
                self.separator = match &*text {
                    [] => Separator::Paragraph,
                    [byte] => Separator::Byte(*byte),
                    pattern => Separator::Pattern(pattern::compile(pattern).or_else(fail)?),
                };
            }
            _ => {}
        }
        self.globals[at] = Cell::Value(value);
        Ok(())
    }

    pub(super) fn text(&self, at: usize) -> Rc<[u8]> {
        match &self.globals[at] {
            Cell::Value(value) => value.to_text(b"%.6g"),
            _ => Rc::from(&b""[..]),
        }
    }

    pub(super) fn number(&self, at: usize) -> f64 {
        match &self.globals[at] {
            Cell::Value(value) => value.number(),
            _ => 0.0,
        }
    }

    pub(super) fn array(&mut self, name: ArrayName) -> Run<Shared> {
        let cell = match name {
            ArrayName::Global(at) => &mut self.globals[at],
            ArrayName::Local(at) => {
                &mut self.frames.last_mut().expect("locals are named in functions only")[at]
            }
        };
        match cell {
            Cell::Array(array) => Ok(array.clone()),
            Cell::Unset => {
                let array: Shared = Rc::default();
                *cell = Cell::Array(array.clone());
                Ok(array)
            }
            Cell::Value(_) => fail("scalar used as an array"),
        }
    }

    pub(super) fn key(&mut self, keys: &[Expr]) -> Run<Rc<[u8]>> {
        let convert = self.text(CONVFMT);
        if let [key] = keys {
            return Ok(self.eval(key)?.to_text(&convert));
        }
        let between = self.text(SUBSEP);
        let mut out = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(&between);
            }
            out.extend_from_slice(&self.eval(key)?.to_text(&convert));
        }
        Ok(out.into())
    }

    pub(super) fn set(&mut self, target: &Expr, value: Value) -> Run<()> {
        match target {
            Expr::Global(at) => {
                if matches!(self.globals[*at], Cell::Array(_)) {
                    return fail("array used as a scalar");
                }
                if *at <= RS {
                    return self.set_global(*at, value);
                }
                self.globals[*at] = Cell::Value(value);
                Ok(())
            }
            Expr::Local(at) => {
                self.frames.last_mut().expect("locals are named in functions only")[*at] = Cell::Value(value);
                Ok(())
            }
            Expr::Field(at) => {
                let at = self.eval(at)?.number();
                self.set_field(at, value)
            }
            Expr::Index(array, keys) => {
                let key = self.key(keys)?;
                self.array(*array)?.borrow_mut().set(key, value);
                Ok(())
            }
            _ => fail("assignment to what is no variable"),
        }
    }

    pub(super) fn test(&mut self, expr: &Expr) -> Run<bool> {
        match expr {
            Expr::Regex(pattern) => {
                let record = self.whole_record();
                Ok(self.regex(pattern)?.is_match(&record))
            }
            expr => Ok(self.eval(expr)?.is_true()),
        }
    }

    pub(super) fn regex(&mut self, pattern: &Rc<[u8]>) -> Run<Regex> {
        if let Some(regex) = self.patterns.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = pattern::compile(pattern).or_else(fail)?;
        if self.patterns.len() > 500 {
            self.patterns.clear();
        }
        self.patterns.insert(pattern.clone(), regex.clone());
        Ok(regex)
    }

    // An expression where a pattern is meant: a pattern itself, or a text that is one.
    pub(super) fn pattern_of(&mut self, expr: &Expr) -> Run<Regex> {
        let text = match expr {
            Expr::Regex(pattern) => pattern.clone(),
            expr => {
                let convert = self.text(CONVFMT);
                self.eval(expr)?.to_text(&convert)
            }
        };
        self.regex(&text)
    }

    pub(super) fn eval(&mut self, expr: &Expr) -> Run<Value> {
        Ok(match expr {
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Regex(_) => Value::Number(f64::from(u8::from(self.test(expr)?))),
            Expr::Global(at) => {
                if *at == NF {
                    self.take_apart();
                }
                match &self.globals[*at] {
                    Cell::Value(value) => value.clone(),
                    Cell::Unset => Value::None,
                    Cell::Array(_) => {
                        return fail(format!("array {} used as a scalar", self.program.globals[*at]));
                    }
                }
            }
            Expr::Local(at) => match &self.frames.last().expect("locals are named in functions only")[*at] {
                Cell::Value(value) => value.clone(),
                Cell::Unset => Value::None,
                Cell::Array(array) if array.borrow().values.is_empty() => Value::None,
                Cell::Array(_) => return fail("array used as a scalar"),
            },
            Expr::Field(at) => match &**at {
                Expr::Number(number) => self.field(*number)?,
                at => {
                    let at = self.eval(at)?.number();
                    self.field(at)?
                }
            },
            Expr::Index(array, keys) => {
                let key = self.key(keys)?;
                let array = self.array(*array)?;

                array.borrow_mut().get(&key)
            }
            Expr::Assign(target, op, value) => {
                let value = self.eval(value)?;
                let value = match op {
                    None => value,
                    Some(op) => {
                        let old = self.eval(target)?.number();
                        Value::Number(calculate(*op, old, value.number()))
                    }
                };
                self.set(target, value.clone())?;
                value
            }
            Expr::Step { target, by, before } => {
                let old = self.eval(target)?.number();
                self.set(target, Value::Number(old + by))?;
                Value::Number(if *before { old + by } else { old })
            }
            Expr::Binary(op @ (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Pow), a, b) => {
                let a = self.eval(a)?.number();
                let b = self.eval(b)?.number();
                Value::Number(calculate(*op, a, b))
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.eval(a)?, self.eval(b)?);
                let order = self.compare(&a, &b);
                let fits = match op {
                    Op::Less => order.is_some_and(|order| order.is_lt()),
                    Op::LessOrSame => order.is_some_and(|order| order.is_le()),
                    Op::Same => order.is_some_and(|order| order.is_eq()),
                    Op::Other => !order.is_some_and(|order| order.is_eq()),
                    Op::More => order.is_some_and(|order| order.is_gt()),
                    _ => order.is_some_and(|order| order.is_ge()),
                };
                Value::Number(f64::from(u8::from(fits)))
            }
            Expr::Concat(a, b) => {
                let convert = self.text(CONVFMT);
                let a = self.eval(a)?.to_text(&convert);
                let b = self.eval(b)?.to_text(&convert);
                Value::text([&*a, &*b].concat())
            }
            Expr::And(a, b) => Value::Number(f64::from(u8::from(self.test(a)? && self.test(b)?))),
            Expr::Or(a, b) => Value::Number(f64::from(u8::from(self.test(a)? || self.test(b)?))),
            Expr::Not(a) => Value::Number(f64::from(u8::from(!self.test(a)?))),
            Expr::Minus(a) => Value::Number(-self.eval(a)?.number()),
            Expr::Plus(a) => Value::Number(self.eval(a)?.number()),
            Expr::Match(text, pattern, yes) => {
                let convert = self.text(CONVFMT);
                let text = self.eval(text)?.to_text(&convert);
                let regex = self.pattern_of(pattern)?;
                Value::Number(f64::from(u8::from(regex.is_match(&text) == *yes)))
            }
            Expr::In(keys, array) => {
                let key = self.key(keys)?;
                let array = self.array(*array)?;
                let found = array.borrow().values.contains_key(&key);
                Value::Number(f64::from(u8::from(found)))
            }
            Expr::If(test, then, other) => {
                if self.test(test)? {
                    self.eval(then)?
                } else {
                    self.eval(other)?
                }
            }
            Expr::Group(list) => match list.as_slice() {
                [.., last] => self.eval(last)?,
                [] => Value::None,
            },
            Expr::Call(at, args) => self.call(*at, args)?,
            Expr::Builtin(name, args) => self.builtin(name, args)?,
            Expr::Getline { from, target } => self.getline(from, target.as_deref())?,
        })
    }

    pub(super) fn compare(&self, a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
        let numeric = |value: &Value| !matches!(value, Value::Text(_));
        if numeric(a) && numeric(b) {
            return a.number().partial_cmp(&b.number());
        }
        let convert = self.text(CONVFMT);
        Some(a.to_text(&convert).cmp(&b.to_text(&convert)))
    }

    pub(super) fn call(&mut self, at: usize, args: &[Expr]) -> Run<Value> {
        let program = self.program;
        let function = &program.functions[at];
        if args.len() > function.params.len() {
            return fail("function called with too many arguments");
        }
        if self.depth >= DEEPEST {
            return fail("function calls nest too deep");
        }
        let mut frame = Vec::with_capacity(function.params.len());
        // A variable that is not set yet may become an array in the function.
        let mut open: Vec<(&Expr, Shared)> = Vec::new();
        for arg in args {
            let cell = match arg {
                Expr::Global(at) => self.globals[*at].clone(),
                Expr::Local(at) => {
                    self.frames.last().expect("locals are named in functions only")[*at].clone()
                }
                _ => Cell::Value(self.eval(arg)?),
            };
            frame.push(match (cell, arg) {
                (Cell::Unset, Expr::Global(NF)) => Cell::Value(self.eval(arg)?),
                (Cell::Unset, arg) => {
                    let array: Shared = Rc::default();
                    open.push((arg, array.clone()));
                    Cell::Array(array)
                }
                (Cell::Value(_), Expr::Global(NF)) => Cell::Value(self.eval(arg)?),
                (cell, _) => cell,
            });
        }
        frame.resize(function.params.len(), Cell::Unset);
        self.frames.push(frame);
        self.depth += 1;
        let result = self.block(&function.body);
        self.depth -= 1;
        self.frames.pop();
        for (arg, array) in open {
            if array.borrow().values.is_empty() {
                continue;
            }
            let cell = match arg {
                Expr::Global(at) => &mut self.globals[*at],
                Expr::Local(at) => {
                    &mut self.frames.last_mut().expect("locals are named in functions only")[*at]
                }
                _ => continue,
            };
            if matches!(cell, Cell::Unset) {
                *cell = Cell::Array(array);
            }
        }
        match result {
            Ok(()) => Ok(Value::None),
            Err(Jump::Return(value)) => Ok(value),
            Err(jump) => Err(jump),
        }
    }
}

pub(super) fn name_of(expr: &Expr) -> Option<ArrayName> {
    match expr {
        Expr::Global(at) => Some(ArrayName::Global(*at)),
        Expr::Local(at) => Some(ArrayName::Local(*at)),
        _ => None,
    }
}

fn calculate(op: Op, a: f64, b: f64) -> f64 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Mod => a % b,
        _ => a.powf(b),
    }
}
