//! Streams of records, and what is written.

use regex::bytes::Regex;
use std::fs::File;
use std::io::{self, Read, Write};

/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// How records end.
pub enum Separator {
    Byte(u8),
    /// Blank lines.
    Paragraph,
    Pattern(Regex),
}

/// Something read record by record.
pub struct Reader {
    source: Box<dyn Read>,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Reader {
    pub fn new(source: Box<dyn Read>) -> Reader {
        Reader { source, buffer: Vec::new(), start: 0, ended: false }
    }

    fn more(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + PIECE, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(!self.ended)
    }

    /// The next record, without what ends it.
    pub fn record(&mut self, separator: &Separator) -> io::Result<Option<Vec<u8>>> {
        let mut looked = 0;
        if matches!(separator, Separator::Paragraph) {
            loop {
                while self.buffer.get(self.start) == Some(&b'\n') {
                    self.start += 1;
                }
                if self.start < self.buffer.len() || !self.more()? {
                    break;
                }
            }
        }
        loop {
            let here = &self.buffer[self.start..];
            let found = match separator {
                Separator::Byte(byte) => memchr::memchr(*byte, &here[looked..]).map(|at| (looked + at, 1)),
                Separator::Paragraph => {
                    here[looked..].windows(2).position(|pair| pair == b"\n\n").map(|at| (looked + at, 2))
                }
                // A match at the very end may go on in what is not read yet.
                Separator::Pattern(regex) => regex
                    .find(here)
                    .filter(|found| !found.is_empty() && (found.end() < here.len() || self.ended))
                    .map(|found| (found.start(), found.len())),
            };
            if let Some((at, length)) = found {
                let record = here[..at].to_vec();
                self.start += at + length;
                return Ok(Some(record));
            }
            looked = here.len().saturating_sub(1);
            if !matches!(separator, Separator::Paragraph) {
                looked = here.len();
            }
            let before = self.start;
            if !self.more()? {
                let here = &self.buffer[self.start..];
                if let Separator::Pattern(regex) = separator
                    && let Some(found) = regex.find(here).filter(|found| !found.is_empty())
                {
                    let record = here[..found.start()].to_vec();
                    self.start += found.end();
                    return Ok(Some(record));
                }
                if here.is_empty() {
                    return Ok(None);
                }
                let mut record = here.to_vec();
                self.start = self.buffer.len();
                while record.last() == Some(&b'\n') && !matches!(separator, Separator::Byte(_)) {
                    record.pop();
                }
                return Ok(Some(record));
            }
            let _ = before;
        }
    }
}

/// Something written to.
pub enum Writer {
    Stdout,
    Stderr,
    File(io::BufWriter<File>),
    /// A command gets what was written when it is closed.
    Command(Vec<u8>, File, std::path::PathBuf),
}

impl Writer {
    pub fn write(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        match self {
            Writer::Stdout => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Writer::Stderr => io::stderr().write_all(bytes),
            Writer::File(file) => file.write_all(bytes),
            Writer::Command(_, file, _) => file.write_all(bytes),
        }
    }
}

/// A file of its own in the directory for such, removed by its user.
pub fn scratch() -> io::Result<(File, std::path::PathBuf)> {
    let dir = std::path::PathBuf::from(std::env::var_os("TMPDIR").unwrap_or_else(|| "/tmp".into()));
    let stamp = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    for number in 0..1000 {
        let path = dir.join(format!(".awk-{stamp}-{number}"));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
