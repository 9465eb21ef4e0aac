//! A pack as a stream of bytes: written without deltas, read into the store.

use crate::error::{Result, fatal};
use crate::object::{Id, Kind};
use crate::odb::{MOST, Odb};
use crate::pack::apply;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::io::{Read, Write};

/// Packs objects.
pub fn pack(odb: &Odb, ids: &[Id]) -> Result<Vec<u8>> {
    let count = u32::try_from(ids.len()).map_err(|_| fatal("too many objects for a pack"))?;
    let mut out = b"PACK\0\0\0\x02".to_vec();
    out.extend(count.to_be_bytes());
    for id in ids {
        let (kind, data) = odb.read(id)?;
        let code = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        let mut size = data.len();
        let mut byte = code << 4 | (size & 15) as u8;
        size >>= 4;
        while size > 0 {
            out.push(byte | 0x80);
            byte = (size & 0x7f) as u8;
            size >>= 7;
        }
        out.push(byte);
        let mut packer = ZlibEncoder::new(&mut out, Compression::default());
        packer.write_all(&data)?;
        packer.finish()?;
    }
    let sum = Sha1::digest(&out);
    out.extend_from_slice(&sum);
    Ok(out)
}

/// Reads a pack and writes its objects to the store; returns how many there were.
pub fn unpack(odb: &Odb, pack: &[u8]) -> Result<usize> {
    let bad = || fatal("the pack is corrupt");
    let (body, sum) = pack.split_last_chunk::<20>().ok_or_else(bad)?;
    if Sha1::digest(body)[..] != sum[..] || !body.starts_with(b"PACK\0\0\0\x02") || body.len() < 12 {
        return Err(bad());
    }
    let count = u32::from_be_bytes([body[8], body[9], body[10], body[11]]) as usize;
    let mut known: HashMap<usize, Id> = HashMap::new();
    // Deltas whose base comes later in the pack.
    let mut waiting: Vec<(usize, Id, Vec<u8>)> = Vec::new();
    let mut at = 12;
    for _ in 0..count {
        let start = at;
        let (code, base) = head(body, &mut at, start).ok_or_else(bad)?;
        let mut data = Vec::new();
        let mut reader = ZlibDecoder::new(&body[at..]).take(MOST);
        reader.read_to_end(&mut data).map_err(|_| bad())?;
        at += reader.into_inner().total_in() as usize;
        let base = match (code, base) {
            (1..=4, _) => {
                let kind = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag][usize::from(code) - 1];
                known.insert(start, odb.write(kind, &data)?);
                continue;
            }
            (6, Base::At(offset)) => *known.get(&offset).ok_or_else(bad)?,
            (7, Base::Id(id)) => id,
            _ => return Err(bad()),
        };
        match undelta(odb, &base, &data)? {
            Some(id) => _ = known.insert(start, id),
            None => waiting.push((start, base, data)),
        }
    }
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut left = Vec::new();
        for (start, base, data) in waiting {
            match undelta(odb, &base, &data)? {
                Some(id) => _ = known.insert(start, id),
                None => left.push((start, base, data)),
            }
        }
        if left.len() == before {
            return Err(fatal(format!("pack has {before} unresolved deltas")));
        }
        waiting = left;
    }
    Ok(count)
}

enum Base {
    None,
    At(usize),
    Id(Id),
}

/// Reads what stands before an object's data: its kind, and its base if it is a delta.
fn head(body: &[u8], at: &mut usize, start: usize) -> Option<(u8, Base)> {
    let mut next = || {
        *at += 1;
        body.get(*at - 1).copied()
    };
    let mut byte = next()?;
    let code = byte >> 4 & 7;
    while byte & 0x80 != 0 {
        byte = next()?;
    }
    let base = match code {
        6 => {
            let mut byte = next()?;
            let mut back = usize::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = next()?;
                back = (back.checked_add(1)?.checked_mul(128)?) | usize::from(byte & 0x7f);
            }
            Base::At(start.checked_sub(back)?)
        }
        7 => {
            let mut id = [0; 20];
            for byte in &mut id {
                *byte = next()?;
            }
            Base::Id(Id(id))
        }
        _ => Base::None,
    };
    (*at <= body.len()).then_some((code, base))
}

fn undelta(odb: &Odb, base: &Id, delta: &[u8]) -> Result<Option<Id>> {
    let Some((kind, base)) = odb.find(base) else { return Ok(None) };
    let data = apply(&base, delta).ok_or_else(|| fatal("failed to apply delta"))?;
    odb.write(kind, &data).map(Some)
}
