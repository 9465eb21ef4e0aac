//! Records and their fields.

use super::array::Cell;
use super::stream::open;
use super::{ARGC, ARGV, CONVFMT, FILENAME, FNR, Jump, Machine, NF, NR, OFS, ORS, Run, fail};
use crate::input::{Reader, Separator};
use crate::pattern;
use crate::syntax::Pattern;
use crate::value::Value;
use regex::bytes::Regex;
use std::io::{self, Write};
use std::rc::Rc;

/// The most fields of a record.
pub(super) const FIELDS: usize = 1 << 22;

pub(super) enum Fields {
    Blank,
    Byte(u8),
    Each,
    Pattern(Regex),
    Tab,
}

impl<'a> Machine<'a> {
    pub(super) fn records(&mut self) -> Run<()> {
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

    pub(super) fn next_record(&mut self) -> Run<Option<Vec<u8>>> {
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

    pub(super) fn take_record(&mut self, record: Vec<u8>) {
        self.record = record.into();
        self.split = false;
        self.stale = false;
    }

    pub(super) fn whole_record(&mut self) -> Rc<[u8]> {
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

    pub(super) fn take_apart(&mut self) {
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

    pub(super) fn field(&mut self, at: f64) -> Run<Value> {
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

    pub(super) fn set_field(&mut self, at: f64, value: Value) -> Run<()> {
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
}

pub(super) fn separator(text: &[u8]) -> Result<Fields, String> {
    Ok(match text {
        b" " => Fields::Blank,
        b"\t" => Fields::Tab,
        [] => Fields::Each,
        [byte] if *byte != b'\\' => Fields::Byte(*byte),
        pattern => Fields::Pattern(pattern::compile(pattern)?),
    })
}

pub(super) fn cut(text: &[u8], how: &Fields, lines: bool, mut with: impl FnMut(&[u8])) {
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
