//! `cat`: files one after the other, whatever kind they are.

use crate::io::{Options, misuse, reason, warn};
use std::fs::File;
use std::io::{self, Read, Write};

/// Bytes moved at once.
const PIECE: usize = 1 << 16;

struct Show {
    number: bool,
    filled: bool,
    squeeze: bool,
    ends: bool,
    tabs: bool,
    marks: bool,
    line: usize,
    blank: usize,
    at_start: bool,
    /// A carriage return waits for what follows it.
    held: bool,
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "A show-all b number-nonblank e E show-ends n number s squeeze-blank t T show-tabs u v \
        show-nonprinting";
    let options = match Options::read(argv, known, "") {
        Ok(options) => options,
        Err(error) => return misuse("cat", &error, 1),
    };
    let has = |names: &[&str]| options.has(names);
    let mut show = Show {
        number: has(&["n", "number"]),
        filled: has(&["b", "number-nonblank"]),
        squeeze: has(&["s", "squeeze-blank"]),
        ends: has(&["A", "e", "E", "show-all", "show-ends"]),
        tabs: has(&["A", "t", "T", "show-all", "show-tabs"]),
        marks: has(&["A", "e", "t", "v", "show-all", "show-nonprinting"]),
        line: 0,
        blank: 0,
        at_start: true,
        held: false,
    };
    let plain = !(show.number || show.filled || show.squeeze || show.ends || show.tabs || show.marks);
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    let mut out = io::stdout().lock();
    let mut piece = vec![0; PIECE];
    let mut shown = Vec::new();
    for name in if options.rest.is_empty() { stdin } else { &options.rest } {
        let opened: io::Result<Box<dyn Read>> = if *name == b"-" {
            Ok(Box::new(io::stdin().lock()))
        } else {
            let path = guest_host::path_of(name);
            File::open(path).and_then(|file| {
                if file.metadata().is_ok_and(|meta| meta.is_dir()) {
                    Err(io::ErrorKind::IsADirectory.into())
                } else {
                    Ok(Box::new(file) as Box<dyn Read>)
                }
            })
        };
        let result = opened.and_then(|mut file| {
            loop {
                let read = file.read(&mut piece)?;
                if read == 0 {
                    return Ok(());
                }
                let bytes = if plain {
                    &piece[..read]
                } else {
                    shown.clear();
                    show.take(&piece[..read], &mut shown);
                    &shown
                };
                if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
                    std::process::exit(1);
                }
            }
        });
        if let Err(error) = result {
            warn("cat", format!("{}: {}", String::from_utf8_lossy(name), reason(&error)));
            status = 1;
        }
    }
    status
}

impl Show {
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            if self.at_start {
                if *byte == b'\n' {
                    self.blank += 1;
                    if self.squeeze && self.blank > 1 {
                        continue;
                    }
                } else {
                    self.blank = 0;
                }
                if self.filled && *byte != b'\n' || self.number && !self.filled {
                    self.line += 1;
                    out.extend_from_slice(format!("{:6}\t", self.line).as_bytes());
                }
                self.at_start = false;
            }
            if std::mem::take(&mut self.held) {
                out.extend_from_slice(if *byte == b'\n' { b"^M" } else { b"\r" });
            }
            match byte {
                b'\n' => {
                    if self.ends {
                        out.push(b'$');
                    }
                    out.push(b'\n');
                    self.at_start = true;
                }
                b'\t' if self.tabs => out.extend_from_slice(b"^I"),
                b'\t' => out.push(b'\t'),
                byte if self.marks => mark(*byte, out),
                b'\r' if self.ends => self.held = true,
                byte => out.push(*byte),
            }
        }
    }
}

fn mark(byte: u8, out: &mut Vec<u8>) {
    let mut low = byte;
    if byte >= 0x80 {
        out.extend_from_slice(b"M-");
        low = byte - 0x80;
    }
    match low {
        0..0x20 => out.extend_from_slice(&[b'^', low + 64]),
        0x7f => out.extend_from_slice(b"^?"),
        low => out.push(low),
    }
}
