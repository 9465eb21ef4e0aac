//! Runs a program.

mod array;
mod builtin;
mod evaluate;
mod record;
mod statement;
mod stream;

use crate::input::{Reader, Separator, Writer};
use crate::syntax::Program;
use crate::value::Value;
use array::{Array, Cell};
use record::Fields;
use regex::bytes::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
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
}
