//! Commands over lines: `tac`, `rev`, `column`, `strings`.

use crate::io::{Options, each, misuse, read, reason, warn, write};
use bstr::ByteSlice;

pub fn tac(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "b before r regex", "s separator") {
        Ok(options) => options,
        Err(error) => return misuse("tac", &error, 1),
    };
    let separator = options.value(&["s", "separator"]).unwrap_or("\n").as_bytes().to_vec();
    let before = options.has(&["b", "before"]);
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if options.rest.is_empty() { stdin } else { &options.rest } {
        match read(file) {
            Ok(bytes) => write(&reversed(&bytes, &separator, before)),
            Err(error) => {
                let why = if error.kind() == std::io::ErrorKind::IsADirectory {
                    "read error: Is a directory".into()
                } else {
                    reason(&error)
                };
                let what = if error.kind() == std::io::ErrorKind::NotFound {
                    format!("failed to open '{}' for reading", String::from_utf8_lossy(file))
                } else {
                    String::from_utf8_lossy(file).into_owned()
                };
                warn("tac", format!("{what}: {why}"));
                status = 1;
            }
        }
    }
    status
}

fn reversed(bytes: &[u8], separator: &[u8], before: bool) -> Vec<u8> {
    let mut cuts: Vec<usize> =
        bytes.find_iter(separator).map(|at| if before { at } else { at + separator.len() }).collect();
    cuts.insert(0, 0);
    cuts.push(bytes.len());
    cuts.dedup();
    cuts.windows(2).rev().flat_map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

pub fn rev(argv: &[Vec<u8>]) -> i32 {
    let files: Vec<&[u8]> = argv.iter().skip(1).map(Vec::as_slice).collect();
    each("rev", &files, |bytes| {
        let mut out = Vec::with_capacity(bytes.len());
        for line in bytes.lines_with_terminator() {
            let (body, end) = match line.strip_suffix(b"\n") {
                Some(body) => (body, &b"\n"[..]),
                None => (line, &b""[..]),
            };
            let mut chars: Vec<&[u8]> =
                body.char_indices().map(|(start, end, _)| &body[start..end]).collect();
            chars.reverse();
            out.extend(chars.concat());
            out.extend_from_slice(end);
        }
        out
    })
}

pub fn strings(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "a all f", "n bytes t radix e") {
        Ok(options) => options,
        Err(error) => return misuse("strings", &error, 1),
    };
    let least: usize = options.value(&["n", "bytes"]).and_then(|value| value.parse().ok()).unwrap_or(4);
    let radix = options.value(&["t", "radix"]).map(str::to_owned);
    each("strings", &options.rest, |bytes| {
        let mut out = Vec::new();
        let mut start = 0;
        for at in 0..=bytes.len() {
            if bytes.get(at).is_some_and(|byte| (0x20..0x7f).contains(byte) || *byte == b'\t') {
                continue;
            }
            if at - start >= least {
                match radix.as_deref() {
                    Some("x") => out.extend(format!("{start:7x} ").bytes()),
                    Some("o") => out.extend(format!("{start:7o} ").bytes()),
                    Some(_) => out.extend(format!("{start:7} ").bytes()),
                    None => {}
                }
                out.extend_from_slice(&bytes[start..at]);
                out.push(b'\n');
            }
            start = at + 1;
        }
        out
    })
}

pub fn column(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "t table n x", "s separator o output-separator c N R") {
        Ok(options) => options,
        Err(error) => return misuse("column", &error, 1),
    };
    let separator = options.value(&["s", "separator"]).map(|text| text.as_bytes().to_vec());
    let between = options.value(&["o", "output-separator"]).unwrap_or("  ").to_owned();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let status = each("column", &options.rest, |bytes| {
        for line in bytes.lines().filter(|line| !line.trim().is_empty()) {
            let cells: Vec<String> = match &separator {
                Some(any) => line
                    .split(|byte| any.contains(byte))
                    .map(|cell| cell.to_str_lossy().into_owned())
                    .collect(),
                None => line.fields().map(|cell| cell.to_str_lossy().into_owned()).collect(),
            };
            rows.push(cells);
        }
        Vec::new()
    });
    let width = |cell: &String| cell.chars().count();
    let mut out = String::new();
    if options.has(&["t", "table"]) {
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..count)
            .map(|at| rows.iter().filter_map(|row| row.get(at)).map(width).max().unwrap_or(0))
            .collect();
        for row in &rows {
            for (at, widest) in widths.iter().enumerate() {
                let cell = row.get(at).map_or("", String::as_str);
                out += cell;
                if at + 1 < count {
                    out += &" ".repeat(widest - cell.chars().count());
                    out += &between;
                }
            }
            out.push('\n');
        }
    } else {
        let cells: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
        let widest = cells.iter().map(width).max().unwrap_or(0);
        let total: usize = options.value(&["c"]).and_then(|value| value.parse().ok()).unwrap_or(80);
        let step = (widest / 8 + 1) * 8;
        let columns = (total / step).max(1);
        let lines = cells.len().div_ceil(columns);
        for line in 0..lines {
            let row: Vec<&String> =
                (0..columns).filter_map(|column| cells.get(column * lines + line)).collect();
            for (at, cell) in row.iter().enumerate() {
                out += cell;
                if at + 1 < row.len() {
                    out += &"\t".repeat((step - width(cell)).div_ceil(8));
                }
            }
            out.push('\n');
        }
    }
    write(out.as_bytes());
    status
}
