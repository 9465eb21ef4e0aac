//! Files and commands that are written and read.

use super::array::Cell;
use super::{CONVFMT, Jump, Machine, NR, Run, fail};
use crate::input::{Reader, Writer, scratch};
use crate::syntax::{Expr, From, Way};
use crate::value::Value;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

/// Bytes of output kept before they are written.
const KEPT: usize = 1 << 16;

impl<'a> Machine<'a> {
    pub(super) fn full(&mut self) -> Run<()> {
        if self.out.len() >= KEPT {
            self.flush();
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) {
        if !self.out.is_empty() {
            let mut stdout = io::stdout().lock();
            if stdout.write_all(&self.out).and_then(|()| stdout.flush()).is_err() {
                std::process::exit(2);
            }
            self.out.clear();
        }
    }

    pub(super) fn flush_all(&mut self) {
        self.flush();
        for writer in self.writers.values_mut() {
            if let Writer::File(file) = writer {
                let _ = file.flush();
            }
        }
    }

    pub(super) fn write(&mut self, way: Way, name: &Expr, bytes: &[u8]) -> Run<()> {
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
    pub(super) fn close(&mut self, name: &[u8]) -> f64 {
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

    pub(super) fn getline(&mut self, from: &From, target: Option<&Expr>) -> Run<Value> {
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
}

pub(super) fn open(name: &[u8]) -> io::Result<Reader> {
    if matches!(name, b"-" | b"/dev/stdin") {
        return Ok(Reader::new(Box::new(io::stdin())));
    }
    Ok(Reader::new(Box::new(File::open(guest_host::path_of(name))?)))
}
