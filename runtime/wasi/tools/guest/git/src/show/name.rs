//! Names with odd bytes, quoted and read back.

use crate::repo::Repo;

/// A name as git shows it: in quotes, if it has an odd character.
pub fn quote(repo: &Repo, name: &[u8]) -> Vec<u8> {
    quote_with(name, repo.config.is("core.quotepath", true))
}

pub fn quote_with(name: &[u8], all: bool) -> Vec<u8> {
    let odd =
        |byte: u8| byte < 0x20 || byte == 0x7f || byte == b'"' || byte == b'\\' || (all && byte >= 0x80);
    if !name.iter().any(|byte| odd(*byte)) {
        return name.to_vec();
    }
    let mut out = b"\"".to_vec();
    for byte in name {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            11 => out.extend_from_slice(b"\\v"),
            12 => out.extend_from_slice(b"\\f"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            byte if odd(*byte) => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

/// Undoes [`quote`].
pub fn unquote(name: &[u8]) -> Vec<u8> {
    let Some(inner) = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) else {
        return name.to_vec();
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if inner[at] != b'\\' {
            out.push(inner[at]);
            at += 1;
            continue;
        }
        at += 1;
        match inner.get(at) {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'v') => out.push(11),
            Some(b'f') => out.push(12),
            Some(b'0'..=b'3') if inner.len() >= at + 3 => {
                let digits = std::str::from_utf8(&inner[at..at + 3]).unwrap_or("0");
                out.push(u8::from_str_radix(digits, 8).unwrap_or(0));
                at += 2;
            }
            Some(byte) => out.push(*byte),
            None => {}
        }
        at += 1;
    }
    out
}
