//! `hexdump` in its ready-made forms; formats of one's own (`-e`) are refused.

use crate::io::{Options, misuse, read, reason, warn, write};

/// Bytes of a line.
const LINE: usize = 16;
/// Columns of a line behind the offset.
const WIDTH: usize = 48;

/// A ready-made form: bytes of a piece, and how it is written.
type Form = (usize, fn(&[u8]) -> String);

/// Two bytes as a number, the low one first; a missing byte is zero.
fn word(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes.get(1).copied().unwrap_or(0)])
}

fn character(bytes: &[u8]) -> String {
    match bytes[0] {
        0 => "\\0".into(),
        7 => "\\a".into(),
        8 => "\\b".into(),
        9 => "\\t".into(),
        10 => "\\n".into(),
        11 => "\\v".into(),
        12 => "\\f".into(),
        13 => "\\r".into(),
        byte @ b' '..=b'~' => (byte as char).to_string(),
        byte => format!("{byte:03o}"),
    }
}

/// Runs `hexdump`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "C canonical b c d o x v no-squeezing";
    let options = match Options::read(argv, known, "n length s skip e f") {
        Ok(options) => options,
        Err(error) => return misuse("hexdump", &error, 1),
    };
    if options.has(&["e", "f"]) {
        warn("hexdump", "formats of one's own (-e, -f) are not known here");
        return 1;
    }
    let number =
        |names: &[&str]| options.value(names).map(|text| count(text).ok_or(text.to_owned())).transpose();
    let (length, skip) = match (number(&["n", "length"]), number(&["s", "skip"])) {
        (Ok(length), Ok(skip)) => (length, skip.unwrap_or(0)),
        (Err(text), _) | (_, Err(text)) => {
            warn("hexdump", format!("failed to parse length: '{text}': Invalid argument"));
            return 1;
        }
    };
    let stdin: &[&[u8]] = &[b"-"];
    let (mut bytes, mut failed) = (Vec::new(), 0);
    let files = if options.rest.is_empty() { stdin } else { &options.rest };
    for file in files {
        match read(file) {
            Ok(more) => bytes.extend(more),
            Err(error) => {
                warn("hexdump", format!("{}: {}", String::from_utf8_lossy(file), reason(&error)));
                failed += 1;
            }
        }
    }
    if failed == files.len() {
        warn("hexdump", "all input file arguments failed");
        return 1;
    }
    let start = skip.min(bytes.len());
    let end = length.map_or(bytes.len(), |length| bytes.len().min(start.saturating_add(length)));
    let squeeze = !options.has(&["v", "no-squeezing"]);
    let form: Option<Form> = options.given.iter().find_map(|(name, _)| match name.as_str() {
        "b" => Some((1, (|piece| format!(" {:03o}", piece[0])) as fn(&[u8]) -> String)),
        "c" => Some((1, |piece| format!("{:>4}", character(piece)))),
        "d" => Some((2, |piece| format!("   {:05}", word(piece)))),
        "o" => Some((2, |piece| format!("  {:06o}", word(piece)))),
        "x" => Some((2, |piece| format!("    {:04x}", word(piece)))),
        _ => None,
    });
    let canonical = options.has(&["C", "canonical"]);
    write(&dump(&bytes[start..end], start, squeeze, canonical, form));
    i32::from(failed > 0)
}

fn dump(bytes: &[u8], start: usize, squeeze: bool, canonical: bool, form: Option<Form>) -> Vec<u8> {
    let mut out = String::new();
    let mut before: &[u8] = b"";
    let mut starred = false;
    for (number, line) in bytes.chunks(LINE).enumerate() {
        if squeeze && line == before {
            if !starred {
                out += "*\n";
            }
            starred = true;
            continue;
        }
        (before, starred) = (line, false);
        let at = start + number * LINE;
        out += &if canonical { of_both(at, line) } else { of_one(at, line, form) };
    }
    if !bytes.is_empty() {
        let end = start + bytes.len();
        out += &if canonical { format!("{end:08x}\n") } else { format!("{end:07x}\n") };
    }
    out.into_bytes()
}

/// Numbers, and the characters beside them.
fn of_both(at: usize, line: &[u8]) -> String {
    let half = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
    let (left, right) = line.split_at(line.len().min(LINE / 2));
    let numbers = format!("{} {}", half(left), half(right));
    let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { *byte as char } else { '.' };
    let characters: String = line.iter().map(shown).collect();
    let left = format!("{:<24}", half(left));
    let numbers = if right.is_empty() { left } else { numbers };
    format!("{at:08x}  {numbers:<50}|{characters}|\n")
}

fn of_one(at: usize, line: &[u8], form: Option<Form>) -> String {
    let (size, show) = form.unwrap_or((2, |piece| format!(" {:04x}", word(piece))));
    let pieces: String = line.chunks(size).map(show).collect();
    let width = match form {
        // The usual form is narrower.
        None => WIDTH * 5 / 6,
        Some((1, _)) => WIDTH * 4 / 3,
        Some(_) => WIDTH * 4 / 3,
    };
    format!("{at:07x}{pieces:<width$}\n")
}

/// A count with a unit, or in base 16.
fn count(text: &str) -> Option<usize> {
    if let Some(hex) = text.strip_prefix("0x") {
        return usize::from_str_radix(hex, 16).ok();
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "b" => 512,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}
