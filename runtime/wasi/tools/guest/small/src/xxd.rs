//! `xxd`: bytes in hexadecimal, and back.

use crate::io::{Options, misuse, read, reason, warn, write};
use bstr::ByteSlice;

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "p ps plain r revert u b i", "l c s g len cols") {
        Ok(options) => options,
        Err(error) => return misuse("xxd", &error, 1),
    };
    let number = |names: &[&str]| {
        options.value(names).and_then(|text| match text.strip_prefix("0x") {
            Some(hex) => usize::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        })
    };
    let file = options.rest.first().copied().unwrap_or(b"-");
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            warn("xxd", format!("{}: {}", String::from_utf8_lossy(file), reason(&error)));
            return 2;
        }
    };
    let plain = options.has(&["p", "ps", "plain"]);
    if options.has(&["r", "revert"]) {
        write(&back(&bytes, plain));
        return 0;
    }
    let start = number(&["s"]).unwrap_or(0).min(bytes.len());
    let end = number(&["l", "len"]).map_or(bytes.len(), |length| (start + length).min(bytes.len()));
    let bits = options.has(&["b"]);
    let columns = number(&["c", "cols"])
        .unwrap_or(if plain {
            30
        } else if bits {
            6
        } else {
            16
        })
        .max(1);
    let group = number(&["g"]).unwrap_or(if bits { 1 } else { 2 }).max(1);
    let mut out = String::new();
    let digits = |byte: &u8| {
        if bits {
            format!("{byte:08b}")
        } else if options.has(&["u"]) {
            format!("{byte:02X}")
        } else {
            format!("{byte:02x}")
        }
    };
    for (row, line) in bytes[start..end].chunks(columns).enumerate() {
        if plain {
            out.extend(line.iter().map(digits));
            out.push('\n');
            continue;
        }
        let text: String = line
            .chunks(group)
            .map(|bytes| bytes.iter().map(digits).collect::<String>())
            .collect::<Vec<_>>()
            .join(" ");
        let width = columns * (if bits { 8 } else { 2 }) + columns.div_ceil(group) - 1;
        let shown: String =
            line.iter().map(|byte| if (0x20..0x7f).contains(byte) { *byte as char } else { '.' }).collect();
        out += &format!("{:08x}: {text:<width$}  {shown}\n", start + row * columns);
    }
    write(out.as_bytes());
    0
}

fn back(bytes: &[u8], plain: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let value = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    for line in bytes.lines() {
        let body = if plain {
            line
        } else {
            let Some((place, rest)) = line.split_once_str(":") else { continue };
            let place = place
                .to_str()
                .ok()
                .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
                .unwrap_or(out.len());
            if place > out.len() && place < 1 << 28 {
                out.resize(place, 0);
            }
            rest.split_once_str("  ").map_or(rest, |(hex, _)| hex)
        };
        let digits: Vec<u8> = body.iter().filter_map(|byte| value(*byte)).collect();
        out.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    out
}
