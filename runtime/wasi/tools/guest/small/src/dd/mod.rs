//! `dd`: copies in blocks of given sizes.

mod operands;
mod report;

use crate::io::{quoted, reason, warn};
use operands::Operands;
use report::Report;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem::ManuallyDrop;

/// Runs `dd`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let operands = match Operands::read(argv) {
        Ok(operands) => operands,
        Err(status) => return status,
    };
    let Some(input) = open_input(&operands) else { return 1 };
    let Some(output) = open_output(&operands) else { return 1 };
    let mut copy =
        Copy { operands: &operands, input, output, report: Report::default(), pending: Vec::new() };
    let result = copy.skip().and_then(|()| copy.seek()).and_then(|()| copy.run());
    let mut status = result.err().unwrap_or(0);
    if operands.conversion.flush && copy.output.sync_all().is_err() && operands.output.is_some() {
        status = 1;
    }
    copy.report.say(operands.level);
    status
}

fn shown(name: Option<&Vec<u8>>, standard: &str) -> String {
    name.map_or_else(|| quoted(standard.as_bytes()), |name| quoted(name))
}

fn open_input(operands: &Operands) -> Option<ManuallyDrop<File>> {
    let Some(name) = &operands.input else {
        // The descriptors of the command itself are not ours to close.
        return Some(ManuallyDrop::new(guest_host::file(0)));
    };
    match File::open(guest_host::path_of(name)) {
        Ok(file) => Some(ManuallyDrop::new(file)),
        Err(error) => {
            warn("dd", format!("failed to open {}: {}", quoted(name), reason(&error)));
            None
        }
    }
}

fn open_output(operands: &Operands) -> Option<ManuallyDrop<File>> {
    let Some(name) = &operands.output else { return Some(ManuallyDrop::new(guest_host::file(1))) };
    let conversion = &operands.conversion;
    let mut options = OpenOptions::new();
    options.write(true).append(operands.append).create(!conversion.no_create);
    options.create_new(conversion.exclusive);
    let path = guest_host::path_of(name);
    let opened = if path.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { options.open(path) };
    let failed = |what: String, error: &io::Error| {
        warn("dd", format!("{what}: {}", reason(error)));
        None
    };
    let file = match opened {
        Ok(file) => file,
        Err(error) => return failed(format!("failed to open {}", quoted(name)), &error),
    };
    let start = operands.seek.times(operands.write);
    if !conversion.keep
        && !operands.append
        && file.metadata().is_ok_and(|meta| meta.is_file())
        && let Err(error) = file.set_len(start)
    {
        return failed(
            format!("failed to truncate to {start} bytes in output file {}", quoted(name)),
            &error,
        );
    }
    Some(ManuallyDrop::new(file))
}

/// A copy under way.
struct Copy<'a> {
    operands: &'a Operands,
    input: ManuallyDrop<File>,
    output: ManuallyDrop<File>,
    report: Report,
    /// What was read and does not fill an output block yet.
    pending: Vec<u8>,
}

impl Copy<'_> {
    /// Leaves out what `skip=` says, by seeking where the input can.
    fn skip(&mut self) -> Result<(), i32> {
        let mut left = self.operands.skip.times(self.operands.read);
        if left == 0 {
            return Ok(());
        }
        let regular = self.input.metadata().is_ok_and(|meta| meta.is_file());
        let past = if regular {
            let have = self.input.metadata().map_or(0, |meta| meta.len());
            let to = self.input.stream_position().unwrap_or(0).saturating_add(left);
            self.input.seek(SeekFrom::Start(to.min(have))).is_ok() && to > have
        } else {
            let mut block = vec![0; self.operands.read];
            while left > 0 {
                let want = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                match self.input.read(&mut block[..want]) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left -= read as u64,
                }
            }
            left > 0
        };
        if past {
            let name = self.operands.input.as_deref().unwrap_or(b"standard input");
            let name = if self.operands.input.is_some() {
                String::from_utf8_lossy(name).into()
            } else {
                quoted(name)
            };
            warn("dd", format!("{name}: cannot skip to specified offset"));
        }
        Ok(())
    }

    /// Goes to where `seek=` says; an output that cannot is filled with zeros.
    fn seek(&mut self) -> Result<(), i32> {
        let mut left = self.operands.seek.times(self.operands.write);
        if left == 0 || self.operands.append || self.output.seek(SeekFrom::Current(left as i64)).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; self.operands.write];
        while left > 0 {
            let piece = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.put(&zeros[..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), i32> {
        let operands = self.operands;
        let mut block = vec![0; operands.read];
        let mut bytes = operands.count.filter(|count| count.bytes).map(|count| count.number);
        let blocks = operands.count.filter(|count| !count.bytes).map(|count| count.number);
        let mut status = Ok(());
        while blocks.is_none_or(|blocks| self.report.read() < blocks) && bytes != Some(0) {
            let want = bytes
                .map_or(block.len(), |left| block.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            let mut have = match self.block(&mut block[..want]) {
                Ok(0) => break,
                Ok(have) => have,
                Err(error) => {
                    let name = shown(operands.input.as_ref(), "standard input");
                    warn("dd", format!("error reading {name}: {}", reason(&error)));
                    status = Err(1);
                    // Only an input that can go on behind the damage is worth another try.
                    if !operands.conversion.lenient
                        || self.input.seek(SeekFrom::Current(want as i64)).is_err()
                    {
                        break;
                    }
                    continue;
                }
            };
            bytes = bytes.map(|left| left - have as u64);
            self.report.took(have == operands.read);
            if operands.conversion.sync && have < operands.read {
                block[have..].fill(0);
                have = operands.read;
            }
            self.convert(&mut block[..have]);
            if operands.as_read {
                self.put_block(&block[..have])?;
            } else {
                self.gather(&block[..have])?;
            }
        }
        if !self.pending.is_empty() {
            let rest = std::mem::take(&mut self.pending);
            self.put_block(&rest)?;
        }
        status
    }

    /// Reads one block: once, or until it is full if that was asked for.
    fn block(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < block.len() {
            match self.input.read(&mut block[have..]) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if !self.operands.full {
                break;
            }
        }
        Ok(have)
    }

    fn convert(&self, block: &mut [u8]) {
        let conversion = &self.operands.conversion;
        if conversion.lower {
            block.make_ascii_lowercase();
        }
        if conversion.upper {
            block.make_ascii_uppercase();
        }
        if conversion.swap {
            block.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<(), i32> {
        self.pending.extend_from_slice(bytes);
        let size = self.operands.write;
        let mut at = 0;
        let pending = std::mem::take(&mut self.pending);
        while pending.len() - at >= size {
            self.put_block(&pending[at..at + size])?;
            at += size;
        }
        self.pending = pending[at..].to_vec();
        Ok(())
    }

    fn put_block(&mut self, bytes: &[u8]) -> Result<(), i32> {
        self.put(bytes)?;
        self.report.gave(bytes.len(), bytes.len() == self.operands.write);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), i32> {
        self.output.write_all(bytes).map_err(|error| {
            // A reader that is gone ends the command quietly.
            if error.kind() != io::ErrorKind::BrokenPipe {
                let name = shown(self.operands.output.as_ref(), "standard output");
                warn("dd", format!("error writing {name}: {}", reason(&error)));
            }
            1
        })
    }
}
