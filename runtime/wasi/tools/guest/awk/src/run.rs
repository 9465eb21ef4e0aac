//! Runs a program.

use crate::input::{Reader, Separator, Writer, scratch};
use crate::pattern;
use crate::syntax::{Array as ArrayName, Expr, From, Op, Pattern, Program, Stmt, Way};
use crate::value::{Value, number_text, print};
use regex::bytes::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::rc::Rc;

/// The variables that mean something, in their order.
pub const KNOWN: &[&str] = &[
    "NF", "NR", "FNR", "FS", "OFS", "ORS", "RS", "FILENAME", "SUBSEP", "RSTART", "RLENGTH", "CONVFMT",
    "OFMT", "ENVIRON", "ARGV", "ARGC",
];
const NF: usize = 0;
const NR: usize = 1;
const FNR: usize = 2;
const FS: usize = 3;
const OFS: usize = 4;
const ORS: usize = 5;
const RS: usize = 6;
const FILENAME: usize = 7;
const SUBSEP: usize = 8;
const RSTART: usize = 9;
const RLENGTH: usize = 10;
const CONVFMT: usize = 11;
const OFMT: usize = 12;
const ENVIRON: usize = 13;
const ARGV: usize = 14;
const ARGC: usize = 15;

/// How deep functions may call.
const DEEPEST: usize = 2000;
/// Bytes of output kept before they are written.
const KEPT: usize = 1 << 16;
/// The most fields of a record.
const FIELDS: usize = 1 << 22;

/// An array: values by key, each with its place in the order of making.
#[derive(Default)]
struct Array {
    values: HashMap<Rc<[u8]>, (u64, Value)>,
    next: u64,
}

impl Array {
    fn get(&mut self, key: &Rc<[u8]>) -> Value {
        if let Some((_, value)) = self.values.get(key) {
            return value.clone();
        }
        self.set(key.clone(), Value::None);
        Value::None
    }

    fn set(&mut self, key: Rc<[u8]>, value: Value) {
        if let Some(found) = self.values.get_mut(&key) {
            found.1 = value;
            return;
        }
        self.next += 1;
        self.values.insert(key, (self.next, value));
    }

    fn keys(&self) -> Vec<Rc<[u8]>> {
        let mut keys: Vec<(&u64, &Rc<[u8]>)> =
            self.values.iter().map(|(key, (place, _))| (place, key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key.clone()).collect()
    }
}

type Shared = Rc<RefCell<Array>>;

#[derive(Clone, Default)]
enum Cell {
    #[default]
    Unset,
    Value(Value),
    Array(Shared),
}

/// What ends a statement early.
enum Jump {
    Next,
    NextFile,
    Exit,
    Return(Value),
    Break,
    Continue,
    Fail(String),
}

type Run<T> = Result<T, Jump>;

fn fail<T>(text: impl Into<String>) -> Run<T> {
    Err(Jump::Fail(text.into()))
}

enum Fields {
    Blank,
    Byte(u8),
    Each,
    Pattern(Regex),
    Tab,
}

struct Machine<'a> {
    program: &'a Program,
    globals: Vec<Cell>,
    frames: Vec<Vec<Cell>>,
    record: Rc<[u8]>,
    fields: Vec<Value>,
    /// The record is taken apart; it is out of date with its fields.
    split: bool,
    stale: bool,
    how: Fields,
    separator: Separator,
    patterns: HashMap<Rc<[u8]>, Regex>,
    main: Option<Reader>,
    operand: usize,
    any_file: bool,
    readers: HashMap<Vec<u8>, Reader>,
    writers: HashMap<Vec<u8>, Writer>,
    out: Vec<u8>,
    status: i32,
    seed: f64,
    random: u64,
    depth: usize,
    temporary: Vec<std::path::PathBuf>,
    /// A file could not be opened.
    missing: bool,
}

/// Runs a program over its operands.
pub fn run(
    program: &Program,
    separator: Option<Vec<u8>>,
    sets: Vec<(String, Vec<u8>)>,
    operands: Vec<Vec<u8>>,
) -> i32 {
    let mut machine = Machine {
        program,
        globals: vec![Cell::Unset; program.globals.len()],
        frames: Vec::new(),
        record: Rc::from(&b""[..]),
        fields: Vec::new(),
        split: true,
        stale: false,
        how: Fields::Blank,
        separator: Separator::Byte(b'\n'),
        patterns: HashMap::new(),
        main: None,
        operand: 1,
        any_file: false,
        readers: HashMap::new(),
        writers: HashMap::new(),
        out: Vec::new(),
        status: 0,
        seed: 0.0,
        random: 0x9e37_79b9_7f4a_7c15,
        depth: 0,
        temporary: Vec::new(),
        missing: false,
    };
    machine.start(separator, sets, operands);
    let result = machine.whole();
    if let Err(Jump::Fail(text)) = result {
        machine.flush();
        let _ = writeln!(io::stderr().lock(), "awk: {text}");
        machine.status = 2;
    }
    machine.flush();
    let names: Vec<Vec<u8>> = machine.writers.keys().cloned().collect();
    for name in names {
        machine.close(&name);
    }
    for path in &machine.temporary {
        let _ = std::fs::remove_file(path);
    }
    machine.status
}

impl<'a> Machine<'a> {
    fn start(&mut self, separator: Option<Vec<u8>>, sets: Vec<(String, Vec<u8>)>, operands: Vec<Vec<u8>>) {
        let texts: [(usize, &[u8]); 7] = [
            (FS, b" "),
            (OFS, b" "),
            (ORS, b"\n"),
            (RS, b"\n"),
            (SUBSEP, b"\x1c"),
            (CONVFMT, b"%.6g"),
            (OFMT, b"%.6g"),
        ];
        for (at, text) in texts {
            self.globals[at] = Cell::Value(Value::text(text));
        }
        for at in [NF, NR, FNR, RSTART] {
            self.globals[at] = Cell::Value(Value::Number(0.0));
        }
        self.globals[RLENGTH] = Cell::Value(Value::Number(-1.0));
        let mut environment = Array::default();
        for (name, value) in std::env::vars_os() {
            environment.set(guest_host::bytes_of(&name).into(), Value::input(guest_host::bytes_of(&value)));
        }
        self.globals[ENVIRON] = Cell::Array(Rc::new(RefCell::new(environment)));
        let mut arguments = Array::default();
        arguments.set(Rc::from(&b"0"[..]), Value::text(&b"awk"[..]));
        for (at, operand) in operands.iter().enumerate() {
            arguments.set(Rc::from((at + 1).to_string().as_bytes()), Value::input(operand));
        }
        self.globals[ARGC] = Cell::Value(Value::Number(operands.len() as f64 + 1.0));
        self.globals[ARGV] = Cell::Array(Rc::new(RefCell::new(arguments)));
        if let Some(separator) = separator {
            let _ = self.set_global(FS, Value::text(separator));
        }
        for (name, value) in sets {
            self.set_named(&name, &value);
        }
    }

    fn set_named(&mut self, name: &str, value: &[u8]) {
        if let Some(at) = self.program.globals.iter().position(|known| known == name) {
            let _ = self.set_global(at, Value::input(value));
        }
    }

    fn whole(&mut self) -> Run<()> {
        let program = self.program;
        let mut result = Ok(());
        for body in &program.begin {
            result = self.block(body);
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() && !(program.rules.is_empty() && program.end.is_empty()) {
            result = self.records();
        }
        match result {
            Err(Jump::Fail(text)) => return fail(text),
            Err(Jump::Exit) => {}
            _ => {}
        }
        for body in &program.end {
            match self.block(body) {
                Ok(()) => {}
                Err(Jump::Fail(text)) => return fail(text),
                Err(_) => break,
            }
        }
        if self.missing && self.status == 0 {
            self.status = 2;
        }
        Ok(())
    }

    fn records(&mut self) -> Run<()> {
        let program = self.program;
        let mut inside = vec![false; program.rules.len()];
        while let Some(record) = self.next_record()? {
            self.take_record(record);
            for (at, (pattern, body)) in program.rules.iter().enumerate() {
                let fits = match pattern {
                    Pattern::Always => true,
                    Pattern::If(test) => self.test(test)?,
                    Pattern::Range(first, last) => {
                        let fits = inside[at] || self.test(first)?;
                        if fits {
                            inside[at] = !self.test(last)?;
                        }
                        fits
                    }
                };
                if !fits {
                    continue;
                }
                let result = match body {
                    Some(body) => self.block(body),
                    None => {
                        let record = self.whole_record();
                        self.out.extend_from_slice(&record);
                        let end = self.text(ORS);
                        self.out.extend_from_slice(&end);
                        self.full()
                    }
                };
                match result {
                    Ok(()) => {}
                    Err(Jump::Next) => break,
                    Err(Jump::NextFile) => {
                        self.main = None;
                        break;
                    }
                    Err(jump) => return Err(jump),
                }
            }
        }
        Ok(())
    }

    fn next_record(&mut self) -> Run<Option<Vec<u8>>> {
        loop {
            if self.main.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(reader) = &mut self.main else { return Ok(None) };
            match reader.record(&self.separator) {
                Ok(Some(record)) => {
                    for at in [NR, FNR] {
                        let number = self.number(at) + 1.0;
                        self.globals[at] = Cell::Value(Value::Number(number));
                    }
                    return Ok(Some(record));
                }
                Ok(None) => self.main = None,
                Err(error) => {
                    let name = String::from_utf8_lossy(&self.text(FILENAME)).into_owned();
                    self.flush();
                    let reason = if error.kind() == io::ErrorKind::IsADirectory {
                        "Is a directory".into()
                    } else {
                        guest_git::reason(&error)
                    };
                    let _ = writeln!(io::stderr().lock(), "awk: read error on {name} ({reason})");
                    self.missing = true;
                    self.main = None;
                }
            }
        }
    }

    // Goes to the next operand: a file, or a variable to set.
    fn open_next(&mut self) -> Run<bool> {
        loop {
            let count = self.number(ARGC) as usize;
            if self.operand >= count {
                if self.any_file {
                    return Ok(false);
                }
                self.any_file = true;
                self.main = Some(Reader::new(Box::new(io::stdin())));
                self.globals[FNR] = Cell::Value(Value::Number(0.0));
                return Ok(true);
            }
            let key: Rc<[u8]> = Rc::from(self.operand.to_string().as_bytes());
            self.operand += 1;
            let operand = match &self.globals[ARGV] {
                Cell::Array(array) => array.borrow().values.get(&key).map(|(_, value)| value.clone()),
                _ => None,
            };
            let operand = operand.unwrap_or_default().to_text(b"%.6g");
            if operand.is_empty() {
                continue;
            }
            if let Some((name, value)) = crate::split_set(&operand) {
                self.set_named(&name, &value);
                continue;
            }
            self.any_file = true;
            self.globals[FILENAME] = Cell::Value(Value::Text(operand.clone()));
            self.globals[FNR] = Cell::Value(Value::Number(0.0));
            match open(&operand) {
                Ok(reader) => {
                    self.main = Some(reader);
                    return Ok(true);
                }
                Err(error) => {
                    self.flush();
                    let name = String::from_utf8_lossy(&operand).into_owned();
                    return fail(format!("cannot open {name} ({})", guest_git::reason(&error)));
                }
            }
        }
    }

    fn take_record(&mut self, record: Vec<u8>) {
        self.record = record.into();
        self.split = false;
        self.stale = false;
    }

    fn whole_record(&mut self) -> Rc<[u8]> {
        if self.stale {
            let separator = self.text(OFS);
            let convert = self.text(CONVFMT);
            let mut record = Vec::new();
            for (at, field) in self.fields.iter().enumerate() {
                if at > 0 {
                    record.extend_from_slice(&separator);
                }
                record.extend_from_slice(&field.to_text(&convert));
            }
            self.record = record.into();
            self.stale = false;
        }
        self.record.clone()
    }

    fn take_apart(&mut self) {
        if self.split {
            return;
        }
        self.split = true;
        let record = self.record.clone();
        let paragraph = matches!(self.separator, Separator::Paragraph);
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        cut(&record, &self.how, paragraph, |field| fields.push(Value::input(field)));
        self.fields = fields;
        self.globals[NF] = Cell::Value(Value::Number(self.fields.len() as f64));
    }

    fn field(&mut self, at: f64) -> Run<Value> {
        if at < 0.0 || at > FIELDS as f64 {
            return fail(format!("trying to access out of range field {at}"));
        }
        let at = at as usize;
        if at == 0 {
            let record = self.whole_record();
            return Ok(Value::input(&record));
        }
        self.take_apart();
        Ok(self.fields.get(at - 1).cloned().unwrap_or_default())
    }

    fn set_field(&mut self, at: f64, value: Value) -> Run<()> {
        if at < 0.0 || at > FIELDS as f64 {
            return fail(format!("trying to access out of range field {at}"));
        }
        let at = at as usize;
        if at == 0 {
            let convert = self.text(CONVFMT);
            self.record = value.to_text(&convert);
            self.split = false;
            self.stale = false;
            return Ok(());
        }
        self.take_apart();
        if at > self.fields.len() {
            self.fields.resize(at, Value::None);
            self.globals[NF] = Cell::Value(Value::Number(at as f64));
        }
        self.fields[at - 1] = value;
        self.stale = true;
        Ok(())
    }

    fn set_global(&mut self, at: usize, value: Value) -> Run<()> {
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

    fn text(&self, at: usize) -> Rc<[u8]> {
        match &self.globals[at] {
            Cell::Value(value) => value.to_text(b"%.6g"),
            _ => Rc::from(&b""[..]),
        }
    }

    fn number(&self, at: usize) -> f64 {
        match &self.globals[at] {
            Cell::Value(value) => value.number(),
            _ => 0.0,
        }
    }

    fn array(&mut self, name: ArrayName) -> Run<Shared> {
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

    fn key(&mut self, keys: &[Expr]) -> Run<Rc<[u8]>> {
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

    fn set(&mut self, target: &Expr, value: Value) -> Run<()> {
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

    fn test(&mut self, expr: &Expr) -> Run<bool> {
        match expr {
            Expr::Regex(pattern) => {
                let record = self.whole_record();
                Ok(self.regex(pattern)?.is_match(&record))
            }
            expr => Ok(self.eval(expr)?.is_true()),
        }
    }

    fn regex(&mut self, pattern: &Rc<[u8]>) -> Run<Regex> {
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
    fn pattern_of(&mut self, expr: &Expr) -> Run<Regex> {
        let text = match expr {
            Expr::Regex(pattern) => pattern.clone(),
            expr => {
                let convert = self.text(CONVFMT);
                self.eval(expr)?.to_text(&convert)
            }
        };
        self.regex(&text)
    }

    fn eval(&mut self, expr: &Expr) -> Run<Value> {
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
                let value = array.borrow_mut().get(&key);
                value
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

    fn compare(&self, a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
        let numeric = |value: &Value| !matches!(value, Value::Text(_));
        if numeric(a) && numeric(b) {
            return a.number().partial_cmp(&b.number());
        }
        let convert = self.text(CONVFMT);
        Some(a.to_text(&convert).cmp(&b.to_text(&convert)))
    }

    fn call(&mut self, at: usize, args: &[Expr]) -> Run<Value> {
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

    fn block(&mut self, stmts: &[Stmt]) -> Run<()> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Run<()> {
        // A loop goes on after `continue`, and ends after `break`.
        fn goes_on(result: Run<()>) -> Run<bool> {
            match result {
                Ok(()) | Err(Jump::Continue) => Ok(true),
                Err(Jump::Break) => Ok(false),
                Err(jump) => Err(jump),
            }
        }
        match stmt {
            Stmt::Expr(expr) => self.eval(expr).map(|_| ()),
            Stmt::Print(args, to) => {
                let mut line = std::mem::take(&mut self.out);
                let start = line.len();
                let direct = to.is_none();
                let mut apart = Vec::new();
                let target = if direct { &mut line } else { &mut apart };
                let format = self.text(OFMT);
                if args.is_empty() {
                    let record = self.whole_record();
                    target.extend_from_slice(&record);
                } else {
                    let between = self.text(OFS);
                    for (at, arg) in args.iter().enumerate() {
                        // What is evaluated may itself write.
                        let value = match arg {
                            Expr::Call(..)
                            | Expr::Builtin(..)
                            | Expr::Getline { .. }
                            | Expr::Concat(..)
                            | Expr::If(..)
                                if direct =>
                            {
                                std::mem::swap(&mut self.out, target);
                                let value = self.eval(arg);
                                std::mem::swap(&mut self.out, target);
                                value
                            }
                            arg => self.eval(arg),
                        };
                        let value = match value {
                            Ok(value) => value,
                            Err(jump) => {
                                line.truncate(start.min(line.len()));
                                self.out = line;
                                return Err(jump);
                            }
                        };
                        if at > 0 {
                            target.extend_from_slice(&between);
                        }
                        match &value {
                            Value::Number(number) => target.extend_from_slice(&number_text(*number, &format)),
                            value => target.extend_from_slice(&value.to_text(&format)),
                        }
                    }
                }
                let end = self.text(ORS);
                target.extend_from_slice(&end);
                self.out = line;
                match to {
                    None => self.full(),
                    Some((way, name)) => self.write(*way, name, &apart),
                }
            }
            Stmt::Printf(args, to) => {
                let convert = self.text(CONVFMT);
                let format = self.eval(&args[0])?.to_text(&convert);
                let values = args[1..].iter().map(|arg| self.eval(arg)).collect::<Run<Vec<_>>>()?;
                let text = print(&format, &values, &convert);
                match to {
                    None => {
                        self.out.extend_from_slice(&text);
                        self.full()
                    }
                    Some((way, name)) => self.write(*way, name, &text),
                }
            }
            Stmt::If(test, then, other) => {
                if self.test(test)? {
                    self.stmt(then)
                } else {
                    other.as_ref().map_or(Ok(()), |other| self.stmt(other))
                }
            }
            Stmt::While(test, body) => {
                while self.test(test)? {
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::Do(body, test) => {
                loop {
                    let result = self.stmt(body);
                    if !goes_on(result)? || !self.test(test)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::For(first, test, step, body) => {
                if let Some(first) = first {
                    self.stmt(first)?;
                }
                while test.as_ref().map_or(Ok(true), |test| self.test(test))? {
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                    if let Some(step) = step {
                        self.stmt(step)?;
                    }
                }
                Ok(())
            }
            Stmt::ForIn(target, array, body) => {
                let array = self.array(*array)?;
                let keys = array.borrow().keys();
                for key in keys {
                    if !array.borrow().values.contains_key(&key) {
                        continue;
                    }
                    self.set(target, Value::input(&key))?;
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::Block(stmts) => self.block(stmts),
            Stmt::Next => Err(Jump::Next),
            Stmt::NextFile => Err(Jump::NextFile),
            Stmt::Exit(value) => {
                if let Some(value) = value {
                    self.status = self.eval(value)?.number() as i32 & 0xff;
                }
                Err(Jump::Exit)
            }
            Stmt::Return(value) => {
                let value = match value {
                    Some(value) => self.eval(value)?,
                    None => Value::None,
                };
                Err(Jump::Return(value))
            }
            Stmt::Break => Err(Jump::Break),
            Stmt::Continue => Err(Jump::Continue),
            Stmt::Delete(array, keys) => {
                let array = self.array(*array)?;
                match keys {
                    Some(keys) => {
                        let key = self.key(keys)?;
                        array.borrow_mut().values.remove(&key);
                    }
                    None => array.borrow_mut().values.clear(),
                }
                Ok(())
            }
        }
    }

    fn full(&mut self) -> Run<()> {
        if self.out.len() >= KEPT {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            let mut stdout = io::stdout().lock();
            if stdout.write_all(&self.out).and_then(|()| stdout.flush()).is_err() {
                std::process::exit(2);
            }
            self.out.clear();
        }
    }

    fn flush_all(&mut self) {
        self.flush();
        for writer in self.writers.values_mut() {
            if let Writer::File(file) = writer {
                let _ = file.flush();
            }
        }
    }

    fn write(&mut self, way: Way, name: &Expr, bytes: &[u8]) -> Run<()> {
        let convert = self.text(CONVFMT);
        let name = self.eval(name)?.to_text(&convert).to_vec();
        if !self.writers.contains_key(&name) {
            let shown = String::from_utf8_lossy(&name).into_owned();
            let refuse = |error: io::Error| {
                Jump::Fail(format!("cannot open \"{shown}\" for output ({})", guest_git::reason(&error)))
            };
            let writer = match (way, name.as_slice()) {
                (Way::Pipe, _) => {
                    let (file, path) = scratch().map_err(refuse)?;
                    Writer::Command(name.clone(), file, path)
                }
                (_, b"/dev/stdout" | b"-") => Writer::Stdout,
                (_, b"/dev/stderr") => Writer::Stderr,
                (Way::Append, _) => Writer::File(BufWriter::new(
                    File::options()
                        .append(true)
                        .create(true)
                        .open(guest_host::path_of(&name))
                        .map_err(refuse)?,
                )),
                _ => Writer::File(BufWriter::new(File::create(guest_host::path_of(&name)).map_err(refuse)?)),
            };
            self.writers.insert(name.clone(), writer);
        }
        let writer = self.writers.get_mut(&name).expect("it was put there above");
        if matches!(writer, Writer::Stderr) {
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(&self.out).and_then(|()| stdout.flush());
            self.out.clear();
        }
        let mut out = std::mem::take(&mut self.out);
        let written = writer.write(&mut out, bytes);
        self.out = out;
        written.or_else(|error| fail(format!("write failure ({})", guest_git::reason(&error))))?;
        self.full()
    }

    // Ends a stream; a command runs now. The status, −1 if there is no such stream.
    fn close(&mut self, name: &[u8]) -> f64 {
        let mut status = -1.0;
        if self.readers.remove(name).is_some() {
            status = 0.0;
        }
        match self.writers.remove(name) {
            Some(Writer::Command(command, mut file, path)) => {
                self.flush_all();
                let _ = file.flush();
                let _ = file.seek(io::SeekFrom::Start(0));
                let argv = [b"sh".to_vec(), b"-c".to_vec(), command];
                status =
                    f64::from(guest_host::spawn(&argv, [guest_host::descriptor(&file), 1, 2]).unwrap_or(127));
                let _ = std::fs::remove_file(path);
            }
            Some(Writer::File(mut file)) => status = if file.flush().is_ok() { 0.0 } else { -1.0 },
            Some(_) => status = 0.0,
            None => {}
        }
        status
    }

    fn getline(&mut self, from: &From, target: Option<&Expr>) -> Run<Value> {
        let convert = self.text(CONVFMT);
        let record = match from {
            From::Main => self.next_record()?,
            From::File(name) => {
                let name = self.eval(name)?.to_text(&convert).to_vec();
                if !self.readers.contains_key(&name) {
                    match open(&name) {
                        Ok(reader) => self.readers.insert(name.clone(), reader),
                        Err(_) => return Ok(Value::Number(-1.0)),
                    };
                }
                match self.readers.get_mut(&name).expect("it was put there above").record(&self.separator) {
                    Ok(record) => record,
                    Err(_) => return Ok(Value::Number(-1.0)),
                }
            }
            From::Command(command) => {
                let command = self.eval(command)?.to_text(&convert).to_vec();
                if !self.readers.contains_key(&command) {
                    self.flush_all();
                    let Ok((mut file, path)) = scratch() else { return Ok(Value::Number(-1.0)) };
                    let argv = [b"sh".to_vec(), b"-c".to_vec(), command.clone()];
                    let _ = guest_host::spawn(&argv, [0, guest_host::descriptor(&file), 2]);
                    let _ = file.seek(io::SeekFrom::Start(0));
                    let _ = std::fs::remove_file(path);
                    self.readers.insert(command.clone(), Reader::new(Box::new(file)));
                }
                let read =
                    self.readers.get_mut(&command).expect("it was put there above").record(&self.separator);
                let record = read.unwrap_or(None);
                if record.is_some() {
                    let number = self.number(NR) + 1.0;
                    self.globals[NR] = Cell::Value(Value::Number(number));
                }
                record
            }
        };
        let Some(record) = record else { return Ok(Value::Number(0.0)) };
        match target {
            Some(target) => self.set(target, Value::input(&record))?,
            None => self.take_record(record),
        }
        Ok(Value::Number(1.0))
    }

    fn builtin(&mut self, name: &str, args: &[Expr]) -> Run<Value> {
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

fn name_of(expr: &Expr) -> Option<ArrayName> {
    match expr {
        Expr::Global(at) => Some(ArrayName::Global(*at)),
        Expr::Local(at) => Some(ArrayName::Local(*at)),
        _ => None,
    }
}

fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs() as f64)
}

// To the nearest whole number, halves to the even one.
fn round(number: f64) -> f64 {
    number.round_ties_even()
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

fn open(name: &[u8]) -> io::Result<Reader> {
    if matches!(name, b"-" | b"/dev/stdin") {
        return Ok(Reader::new(Box::new(io::stdin())));
    }
    Ok(Reader::new(Box::new(File::open(guest_host::path_of(name))?)))
}

fn separator(text: &[u8]) -> Result<Fields, String> {
    Ok(match text {
        b" " => Fields::Blank,
        b"\t" => Fields::Tab,
        [] => Fields::Each,
        [byte] if *byte != b'\\' => Fields::Byte(*byte),
        pattern => Fields::Pattern(pattern::compile(pattern)?),
    })
}

fn cut(text: &[u8], how: &Fields, lines: bool, mut with: impl FnMut(&[u8])) {
    if text.is_empty() {
        return;
    }
    match how {
        Fields::Blank => {
            let mut at = 0;
            while at < text.len() {
                let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
                at += text[at..].iter().take_while(|byte| blank(byte)).count();
                let end = at + text[at..].iter().take_while(|byte| !blank(byte)).count();
                if end > at {
                    with(&text[at..end]);
                }
                at = end;
            }
        }
        Fields::Byte(byte) => text.split(|other| other == byte || (lines && *other == b'\n')).for_each(with),
        Fields::Tab => text.split(|other| *other == b'\t' || (lines && *other == b'\n')).for_each(with),
        Fields::Each => text.chunks(1).for_each(with),
        Fields::Pattern(regex) => {
            let mut start = 0;
            for found in regex.find_iter(text).filter(|found| !found.is_empty()) {
                with(&text[start..found.start()]);
                start = found.end();
            }
            with(&text[start..]);
        }
    }
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
