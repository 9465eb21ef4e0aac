//! The tar format, as `git archive` writes it: `ustar` headers, what does not fit in extended ones.

use super::{Entry, Origin};

const BLOCK: usize = 512;
/// An archive is whole records of 20 blocks.
const RECORD: usize = 20 * BLOCK;
/// Bits that files and directories have not.
const UMASK: u32 = 0o002;

/// Packs entries.
pub fn pack(entries: &[Entry], origin: &Origin) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(commit) = &origin.commit {
        let record = record("comment", commit.hex().as_bytes());
        header(&mut out, b"pax_global_header", b"", 0o100666, record.len(), origin.time, b'g', b"");
        content(&mut out, &record);
    }
    for entry in entries {
        one(&mut out, entry, origin.time);
    }
    // Two empty blocks end it.
    let end = (out.len() + 2 * BLOCK).div_ceil(RECORD) * RECORD;
    out.resize(end, 0);
    out
}

fn one(out: &mut Vec<u8>, entry: &Entry, time: i64) {
    let (kind, mode) = match entry.mode & 0o170000 {
        0o120000 => (b'2', entry.mode | 0o777),
        0o100000 => (b'0', (entry.mode | if entry.mode & 0o100 != 0 { 0o777 } else { 0o666 }) & !UMASK),
        _ => (b'5', (entry.mode | 0o777) & !UMASK),
    };
    let mut more = Vec::new();
    let data_name = format!("{}.data", entry.id);
    let (prefix, name) = match split(&entry.path) {
        Some(parts) => parts,
        None => {
            more.extend(record("path", &entry.path));
            (&b""[..], data_name.as_bytes())
        }
    };
    let link_name = format!("see {}.paxheader", entry.id);
    let mut link: &[u8] = if kind == b'2' { &entry.data } else { b"" };
    if link.len() > 100 {
        more.extend(record("linkpath", link));
        link = link_name.as_bytes();
    }
    if !more.is_empty() {
        let name = format!("{}.paxheader", entry.id);
        header(out, name.as_bytes(), b"", 0o100666, more.len(), time, b'x', b"");
        content(out, &more);
    }
    let data: &[u8] = if kind == b'0' { &entry.data } else { b"" };
    header(out, name, prefix, mode, data.len(), time, kind, link);
    content(out, data);
}

/// Cuts a path into what fits in the two fields for it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let inner = &path[..path.len() - 1];
    let at = (0..inner.len().min(156)).rev().find(|at| inner[*at] == b'/')?;
    (path.len() - at - 1 <= 100).then(|| (&path[..at], &path[at + 1..]))
}

/// A line of an extended header; its length counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[expect(clippy::too_many_arguments, reason = "the fields of a header")]
fn header(
    out: &mut Vec<u8>,
    name: &[u8],
    prefix: &[u8],
    mode: u32,
    size: usize,
    time: i64,
    kind: u8,
    link: &[u8],
) {
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{:07o}", mode & 0o7777).as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{:011o}", time.max(0)).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    put(329, b"0000000");
    put(337, b"0000000");
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    out.extend_from_slice(&block);
}

fn content(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(data);
    out.resize(out.len().div_ceil(BLOCK) * BLOCK, 0);
}
