//! What was typed after `dd`, read.

use crate::io::{misuse, warn};

/// A place in blocks, or in bytes if it was typed with a final `B` or a flag says so.
#[derive(Clone, Copy, Default)]
pub struct Amount {
    /// How many of the unit.
    pub number: u64,
    /// The unit is a byte.
    pub bytes: bool,
}

impl Amount {
    /// Returns the bytes that this is, in blocks of this size.
    pub fn times(self, block: usize) -> u64 {
        if self.bytes { self.number } else { self.number.saturating_mul(block as u64) }
    }
}

/// What is done to the bytes and the output, as `conv=` says it.
#[derive(Default)]
pub struct Conversion {
    /// Capital letters become small.
    pub lower: bool,
    /// Small letters become capital.
    pub upper: bool,
    /// Pairs of bytes of a block change places.
    pub swap: bool,
    /// Short blocks are filled up with zeros.
    pub sync: bool,
    /// An error of reading does not end the copy.
    pub lenient: bool,
    /// The output keeps what it has behind the copy.
    pub keep: bool,
    /// The output must be there already.
    pub no_create: bool,
    /// The output must not be there yet.
    pub exclusive: bool,
    /// What is written is on the disk before the command ends.
    pub flush: bool,
}

/// What is said at the end.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Records and bytes.
    #[default]
    All,
    /// Records only.
    Records,
    /// Nothing but errors.
    Errors,
}

/// All operands.
pub struct Operands {
    /// The input's name; stdin if none.
    pub input: Option<Vec<u8>>,
    /// The output's name; stdout if none.
    pub output: Option<Vec<u8>>,
    /// Bytes read at once: 512.
    pub read: usize,
    /// Bytes written at once: 512.
    pub write: usize,
    /// Each block is written as it was read: `bs=` was given, and nothing changes a block's size.
    pub as_read: bool,
    /// How much is copied; all if none.
    pub count: Option<Amount>,
    /// How much of the input is left out.
    pub skip: Amount,
    /// Where in the output the copy begins.
    pub seek: Amount,
    /// What is done on the way.
    pub conversion: Conversion,
    /// What is said at the end.
    pub level: Level,
    /// Blocks are read until they are full.
    pub full: bool,
    /// The output is written at its end.
    pub append: bool,
}

/// Which amounts the flags count in bytes, wherever they stand among the operands.
#[derive(Default)]
struct InBytes {
    count: bool,
    skip: bool,
    seek: bool,
}

/// Most bytes of a block: 256 MiB.
const MOST: u64 = 256 << 20;
/// Flags that change nothing here.
const VAIN: &[&str] =
    &["direct", "dsync", "sync", "nonblock", "noatime", "nocache", "noctty", "nofollow", "text"];

impl Operands {
    /// Reads the arguments; the error is the exit status, after its words were said.
    pub fn read(argv: &[Vec<u8>]) -> Result<Operands, i32> {
        let mut operands = Operands {
            input: None,
            output: None,
            read: 512,
            write: 512,
            as_read: false,
            count: None,
            skip: Amount::default(),
            seek: Amount::default(),
            conversion: Conversion::default(),
            level: Level::default(),
            full: false,
            append: false,
        };
        let (mut both, mut in_bytes) = (None, InBytes::default());
        for arg in argv.iter().skip(1).filter(|arg| *arg != b"--") {
            let text = String::from_utf8_lossy(arg);
            let unknown = || misuse("dd", &format!("unrecognized operand ‘{text}’"), 1);
            let (name, value) = text.split_once('=').ok_or_else(unknown)?;
            match name {
                "if" => operands.input = Some(arg[3..].to_vec()),
                "of" => operands.output = Some(arg[3..].to_vec()),
                "ibs" => operands.read = block(value)?,
                "obs" => operands.write = block(value)?,
                "bs" => both = Some(block(value)?),
                "cbs" => _ = block(value)?,
                "count" => operands.count = Some(amount(value)?),
                "skip" | "iseek" => operands.skip = amount(value)?,
                "seek" | "oseek" => operands.seek = amount(value)?,
                "conv" => operands.convert(value)?,
                "status" => {
                    operands.level = match value {
                        "none" => Level::Errors,
                        "noxfer" => Level::Records,
                        "progress" => Level::All,
                        _ => return Err(misuse("dd", &format!("invalid status level: ‘{value}’"), 1)),
                    }
                }
                "iflag" | "oflag" => operands.flags(name == "iflag", value, &mut in_bytes)?,
                _ => return Err(unknown()),
            }
        }
        if let Some(count) = &mut operands.count {
            count.bytes |= in_bytes.count;
        }
        operands.skip.bytes |= in_bytes.skip;
        operands.seek.bytes |= in_bytes.seek;
        if let Some(size) = both {
            (operands.read, operands.write, operands.as_read) = (size, size, true);
        }
        Ok(operands)
    }

    fn convert(&mut self, value: &str) -> Result<(), i32> {
        let conversion = &mut self.conversion;
        for name in value.split(',') {
            match name {
                "lcase" => conversion.lower = true,
                "ucase" => conversion.upper = true,
                "swab" => conversion.swap = true,
                "sync" => conversion.sync = true,
                "noerror" => conversion.lenient = true,
                "notrunc" => conversion.keep = true,
                "nocreat" => conversion.no_create = true,
                "excl" => conversion.exclusive = true,
                "fdatasync" | "fsync" => conversion.flush = true,
                // Zeros are written; a hole reads the same.
                "sparse" => {}
                _ => return Err(misuse("dd", &format!("invalid conversion: ‘{name}’"), 1)),
            }
        }
        if conversion.lower && conversion.upper {
            warn("dd", "cannot combine lcase and ucase");
            return Err(1);
        }
        if conversion.exclusive && conversion.no_create {
            warn("dd", "cannot combine excl and nocreat");
            return Err(1);
        }
        Ok(())
    }

    fn flags(&mut self, input: bool, value: &str, in_bytes: &mut InBytes) -> Result<(), i32> {
        for name in value.split(',') {
            match name {
                "fullblock" if input => self.full = true,
                "count_bytes" if input => in_bytes.count = true,
                "skip_bytes" if input => in_bytes.skip = true,
                "seek_bytes" if !input => in_bytes.seek = true,
                "append" if !input => self.append = true,
                name if VAIN.contains(&name) => {}
                _ => {
                    let side = if input { "input" } else { "output" };
                    return Err(misuse("dd", &format!("invalid {side} flag: ‘{name}’"), 1));
                }
            }
        }
        Ok(())
    }
}

fn block(text: &str) -> Result<usize, i32> {
    match number(text) {
        Some(size) if (1..=MOST).contains(&size) => Ok(size as usize),
        Some(size) if size > MOST => {
            warn("dd", format!("memory exhausted by input buffer of size {size} bytes"));
            Err(1)
        }
        _ => Err(invalid(text)),
    }
}

fn amount(text: &str) -> Result<Amount, i32> {
    let number = number(text).ok_or_else(|| invalid(text))?;
    // `B` alone counts bytes; in `kB` it belongs to the unit.
    let bytes = text.strip_suffix('B').is_some_and(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
    Ok(Amount { number, bytes })
}

fn invalid(text: &str) -> i32 {
    warn("dd", format!("invalid number: ‘{text}’"));
    1
}

/// Reads a number with its unit, or a product of such: `2x512`, `1M`, `3kB`.
fn number(text: &str) -> Option<u64> {
    text.split('x').try_fold(1u64, |product, factor| {
        let digits = factor.find(|c: char| !c.is_ascii_digit()).unwrap_or(factor.len());
        let (number, unit) = (factor[..digits].parse::<u64>().ok()?, &factor[digits..]);
        let power = |letter: u8| b"KMGTPE".iter().position(|known| *known == letter.to_ascii_uppercase());
        let scale = match unit.as_bytes() {
            b"" | b"c" | b"B" => 1,
            b"w" => 2,
            b"b" => 512,
            [letter] | [letter, b'i', b'B'] => 1024u64.checked_pow(power(*letter)? as u32 + 1)?,
            [letter, b'B'] => 1000u64.checked_pow(power(*letter)? as u32 + 1)?,
            _ => return None,
        };
        product.checked_mul(number.checked_mul(scale)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_factors() {
        let read = [
            "512", "2x512", "1k", "1K", "3kB", "1MiB", "2w", "1b", "7c", "9B", "x", "1z", "", "-1", "99999E",
        ];
        let want = [512, 1024, 1024, 1024, 3000, 1 << 20, 4, 512, 7, 9].map(Some);
        assert_eq!(read.map(number)[..10], want);
        assert_eq!(read.map(number)[10..], [None; 5]);
    }
}
