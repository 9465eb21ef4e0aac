//! What the statements do.

use super::library;
use super::number::{MOST, Number};
use super::syntax::{Argument, Expression, Function, Item, Place, Statement};
use std::collections::HashMap;
use std::io::Write;

/// How deep functions may call one another.
const DEPTH: usize = 1000;
/// Bytes of output that are kept before they are written.
const KEPT: usize = 1 << 16;

/// How a statement ended.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Number),
    Quit,
}

/// A run-time error, in bc's words.
type Failed = String;

/// Values, functions and settings.
pub struct Machine {
    names: HashMap<String, Number>,
    arrays: HashMap<String, HashMap<i64, Number>>,
    functions: HashMap<String, Function>,
    scale: usize,
    ibase: u32,
    obase: u32,
    last: Number,
    library: bool,
    depth: usize,
    out: Vec<u8>,
}

impl Machine {
    /// Makes a machine; the library comes with twenty places.
    pub fn new(library: bool) -> Machine {
        Machine {
            names: HashMap::new(),
            arrays: HashMap::new(),
            functions: HashMap::new(),
            scale: if library { 20 } else { 0 },
            ibase: 10,
            obase: 10,
            last: Number::from(0),
            library,
            depth: 0,
            out: Vec::new(),
        }
    }

    /// Writes what there is.
    pub fn flush(&mut self) {
        crate::io::write(&std::mem::take(&mut self.out));
    }

    fn print(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        if self.out.len() > KEPT {
            self.flush();
        }
    }

    /// Runs an item; true if that was the end.
    pub fn item(&mut self, item: Item) -> bool {
        match item {
            Item::Function(function) => _ = self.functions.insert(function.name.clone(), function),
            Item::Statements(statements) => {
                for statement in &statements {
                    match self.run(statement) {
                        Ok(Flow::Quit) => return true,
                        Ok(_) => {}
                        Err(error) => {
                            self.depth = 0;
                            self.flush();
                            let text = format!("Runtime error (func=(main), adr=0): {error}\n");
                            let _ = std::io::stderr().lock().write_all(text.as_bytes());
                            return false;
                        }
                    }
                }
            }
        }
        false
    }

    fn all(&mut self, statements: &[Statement]) -> Result<Flow, Failed> {
        for statement in statements {
            match self.run(statement)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn run(&mut self, statement: &Statement) -> Result<Flow, Failed> {
        match statement {
            Statement::Nothing => {}
            Statement::Text(text) => self.print(text),
            Statement::Value(expression) => {
                let value = self.value(expression)?;
                if !matches!(expression, Expression::Set(..)) {
                    let text = value.show(self.obase) + "\n";
                    self.print(&text);
                    self.last = value;
                }
            }
            Statement::Print(parts) => {
                for part in parts {
                    match part {
                        Statement::Text(text) => {
                            let text = unescaped(text);
                            self.print(&text);
                        }
                        Statement::Value(expression) => {
                            let value = self.value(expression)?;
                            let text = value.show(self.obase);
                            self.print(&text);
                            self.last = value;
                        }
                        _ => {}
                    }
                }
            }
            Statement::If(condition, then, otherwise) => {
                if !self.value(condition)?.is_zero() {
                    return self.run(then);
                }
                if let Some(otherwise) = otherwise {
                    return self.run(otherwise);
                }
            }
            Statement::While(condition, body) => {
                while !self.value(condition)?.is_zero() {
                    match self.run(body)? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        other => return Ok(other),
                    }
                }
            }
            Statement::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.value(first)?;
                }
                loop {
                    if let Some(condition) = condition
                        && self.value(condition)?.is_zero()
                    {
                        break;
                    }
                    match self.run(body)? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        other => return Ok(other),
                    }
                    if let Some(step) = step {
                        self.value(step)?;
                    }
                }
            }
            Statement::Block(statements) => return self.all(statements),
            Statement::Return(value) => {
                let value = value.as_ref().map(|value| self.value(value)).transpose()?;
                return Ok(Flow::Return(value.unwrap_or_else(|| Number::from(0))));
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Quit => return Ok(Flow::Quit),
        }
        Ok(Flow::Next)
    }

    fn value(&mut self, expression: &Expression) -> Result<Number, Failed> {
        Ok(match expression {
            Expression::Number(text) => Number::read(text, self.ibase),
            Expression::Inside(inside) => self.value(inside)?,
            Expression::Place(place) => self.get(place)?,
            Expression::Negated(inside) => self.value(inside)?.negate(),
            Expression::Not(inside) => Number::from(i64::from(self.value(inside)?.is_zero())),
            Expression::Chain(first, rest) => {
                let mut left = self.value(first)?;
                for (sign, right) in rest {
                    let right = self.value(right)?;
                    left = self.two(sign, &left, &right)?;
                }
                left
            }
            Expression::Set(place, sign, value) => {
                let value = self.value(value)?;
                let value = match *sign {
                    "" => value,
                    sign => {
                        let before = self.get(place)?;
                        self.two(sign, &before, &value)?
                    }
                };
                self.set(place, value.clone())?;
                value
            }
            Expression::Step(place, by, before) => {
                let old = self.get(place)?;
                let new = old.add(&Number::from(*by));
                self.set(place, new.clone())?;
                if *before { old } else { new }
            }
            Expression::Call(name, arguments) => self.call(name, arguments)?,
        })
    }

    fn two(&self, sign: &str, left: &Number, right: &Number) -> Result<Number, Failed> {
        let truth = |value: bool| Ok(Number::from(i64::from(value)));
        let order = left.order(right);
        let by_zero = || "Divide by zero".to_owned();
        match sign {
            "+" => Ok(left.add(right)),
            "-" => Ok(left.subtract(right)),
            "*" => Ok(left.multiply(right, self.scale)),
            "/" => left.divide(right, self.scale).ok_or_else(by_zero),
            "%" => left.remainder(right, self.scale).ok_or_else(|| "Modulo by zero".into()),
            "^" => {
                let exponent = right.whole().ok_or("exponent too large in raise")?;
                left.power(exponent, self.scale).ok_or_else(|| {
                    if left.is_zero() { by_zero() } else { "exponent too large in raise".into() }
                })
            }
            "==" => truth(order.is_eq()),
            "!=" => truth(order.is_ne()),
            "<" => truth(order.is_lt()),
            "<=" => truth(order.is_le()),
            ">" => truth(order.is_gt()),
            ">=" => truth(order.is_ge()),
            "&&" => truth(!left.is_zero() && !right.is_zero()),
            _ => truth(!left.is_zero() || !right.is_zero()),
        }
    }

    fn part(&mut self, part: &Expression) -> Result<i64, Failed> {
        let at = self.value(part)?.whole().filter(|at| (0..1 << 24).contains(at));
        at.ok_or_else(|| "Array subscript out of bounds.".into())
    }

    fn get(&mut self, place: &Place) -> Result<Number, Failed> {
        Ok(match place {
            Place::Name(name) => match name.as_str() {
                "scale" => Number::from(self.scale as i64),
                "ibase" => Number::from(i64::from(self.ibase)),
                "obase" => Number::from(i64::from(self.obase)),
                "last" => self.last.clone(),
                name => self.names.get(name).cloned().unwrap_or_else(|| Number::from(0)),
            },
            Place::Part(name, part) => {
                let at = self.part(part)?;
                let found = self.arrays.get(name).and_then(|array| array.get(&at)).cloned();
                found.unwrap_or_else(|| Number::from(0))
            }
        })
    }

    fn set(&mut self, place: &Place, value: Number) -> Result<(), Failed> {
        let within = |low: i64, high: i64| value.whole().unwrap_or(i64::MAX).clamp(low, high);
        match place {
            Place::Name(name) => match name.as_str() {
                "scale" if value.is_negative() => return Err("negative scale, set to 0".into()),
                "scale" => self.scale = within(0, MOST as i64) as usize,
                "ibase" => self.ibase = within(2, 16) as u32,
                "obase" => self.obase = within(2, 999_999) as u32,
                "last" => self.last = value,
                name => _ = self.names.insert(name.to_owned(), value),
            },
            Place::Part(name, part) => {
                let at = self.part(part)?;
                self.arrays.entry(name.clone()).or_default().insert(at, value);
            }
        }
        Ok(())
    }

    fn call(&mut self, name: &str, arguments: &[Argument]) -> Result<Number, Failed> {
        if let Some(function) = self.functions.get(name).cloned() {
            return self.own(&function, arguments);
        }
        if let ("length", [Argument::Array(array)]) = (name, arguments) {
            return Ok(Number::from(self.arrays.get(array).map_or(0, HashMap::len) as i64));
        }
        let [Argument::Value(argument)] = arguments else {
            return Err(format!("Function {name} not defined."));
        };
        let value = self.value(argument)?;
        let scale = self.scale;
        match (name, self.library) {
            ("sqrt", _) => value.root(scale).ok_or_else(|| "Square root of a negative number".into()),
            ("length", _) => Ok(Number::from(value.length() as i64)),
            ("scale", _) => Ok(Number::from(value.scale as i64)),
            ("e", true) if value.order(&Number::from(MOST as i64)).is_gt() => {
                Err("exponent too large in raise".into())
            }
            ("e", true) => Ok(library::exponential(&value, scale)),
            // As far below zero as the places reach.
            ("l", true) if value.is_zero() || value.is_negative() => {
                let power = Number::from(10).power(scale as i64, 0).ok_or("scale too large")?;
                Ok(Number::from(1).subtract(&power))
            }
            ("l", true) => Ok(library::logarithm(&value, scale)),
            ("s", true) => Ok(library::sine(&value, scale)),
            ("c", true) => Ok(library::cosine(&value, scale)),
            ("a", true) => Ok(library::arctangent(&value, scale)),
            _ => Err(format!("Function {name} not defined.")),
        }
    }

    /// Calls a function that was defined: its names hide those of the same name while it runs.
    fn own(&mut self, function: &Function, arguments: &[Argument]) -> Result<Number, Failed> {
        if arguments.len() != function.arguments.len() {
            return Err("Parameter number mismatch".into());
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("Function calls are too deep".into());
        }
        let mut values = Vec::new();
        let mut arrays = Vec::new();
        for (name, argument) in function.arguments.iter().zip(arguments) {
            match (name.strip_suffix("[]"), argument) {
                (Some(name), Argument::Array(array)) => {
                    arrays.push((name.to_owned(), self.arrays.get(array).cloned().unwrap_or_default()));
                }
                (None, Argument::Value(value)) => values.push((name.clone(), self.value(value)?)),
                _ => return Err("Parameter type mismatch".into()),
            }
        }
        for name in &function.own {
            match name.strip_suffix("[]") {
                Some(name) => arrays.push((name.to_owned(), HashMap::new())),
                None => values.push((name.clone(), Number::from(0))),
            }
        }
        let hidden: Vec<_> =
            values.into_iter().map(|(name, value)| (name.clone(), self.names.insert(name, value))).collect();
        let hidden_arrays: Vec<_> =
            arrays.into_iter().map(|(name, array)| (name.clone(), self.arrays.insert(name, array))).collect();
        let flow = self.all(&function.body);
        for (name, before) in hidden.into_iter().rev() {
            match before {
                Some(before) => _ = self.names.insert(name, before),
                None => _ = self.names.remove(&name),
            }
        }
        for (name, before) in hidden_arrays.into_iter().rev() {
            match before {
                Some(before) => _ = self.arrays.insert(name, before),
                None => _ = self.arrays.remove(&name),
            }
        }
        self.depth -= 1;
        match flow? {
            Flow::Return(value) => Ok(value),
            Flow::Quit => {
                self.flush();
                std::process::exit(0)
            }
            _ => Ok(Number::from(0)),
        }
    }
}

/// A text of `print`, with its escapes.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('a') => out.push('\x07'),
                Some('b') => out.push('\x08'),
                Some('f') => out.push('\x0c'),
                Some('q') => out.push('"'),
                Some('\\') => out.push('\\'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}
