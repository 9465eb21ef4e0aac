//! Packs: an index of version 2 with its pack, read piece by piece.

use crate::object::{Id, Kind};
use crate::odb::MOST;
use flate2::{Decompress, FlushDecompress, Status};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

/// How many deltas may stand on one another.
const DEPTH: usize = 4096;
/// Bytes of bases that are kept: 48 MiB.
const KEPT: usize = 48 << 20;
/// Bytes read at once.
const PIECE: usize = 4096;

/// Finds an object that lies elsewhere.
type Elsewhere<'a> = dyn Fn(&Id) -> Option<(Kind, Vec<u8>)> + 'a;
type Kept = HashMap<u64, (Kind, Rc<Vec<u8>>)>;

/// One pack.
pub struct Pack {
    index: RefCell<File>,
    data: RefCell<File>,
    fanout: Vec<u32>,
    buckets: RefCell<HashMap<u8, Rc<Vec<u8>>>>,
    bases: RefCell<(Kept, usize)>,
    /// The number of its objects.
    pub count: u32,
}

impl Pack {
    pub fn open(path: &Path) -> Option<Pack> {
        let mut index = File::open(path).ok()?;
        let data = File::open(path.with_extension("pack")).ok()?;
        let mut head = [0; 8 + 1024];
        index.read_exact(&mut head).ok()?;
        if head[..8] != *b"\xfftOc\0\0\0\x02" {
            return None;
        }
        let fanout: Vec<u32> = head[8..]
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")))
            .collect();
        let count = fanout[255];
        Some(Pack {
            index: RefCell::new(index),
            data: RefCell::new(data),
            fanout,
            buckets: RefCell::default(),
            bases: RefCell::default(),
            count,
        })
    }

    fn index_at(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let mut index = self.index.borrow_mut();
        index.seek(SeekFrom::Start(at)).ok()?;
        let mut bytes = vec![0; length];
        index.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The ids that begin with this byte, and the number of the first of them.
    fn bucket(&self, first: u8) -> Option<(u32, Rc<Vec<u8>>)> {
        let start = if first == 0 { 0 } else { self.fanout[usize::from(first) - 1] };
        let end = self.fanout[usize::from(first)];
        if end < start || end > self.count {
            return None;
        }
        if let Some(bucket) = self.buckets.borrow().get(&first) {
            return Some((start, bucket.clone()));
        }
        let bucket = Rc::new(self.index_at(8 + 1024 + u64::from(start) * 20, (end - start) as usize * 20)?);
        self.buckets.borrow_mut().insert(first, bucket.clone());
        Some((start, bucket))
    }

    /// Where an object begins.
    pub fn find(&self, id: &Id) -> Option<u64> {
        let (start, bucket) = self.bucket(id.0[0])?;
        let (mut low, mut high) = (0, bucket.len() / 20);
        while low < high {
            let middle = (low + high) / 2;
            match bucket[middle * 20..middle * 20 + 20].cmp(&id.0[..]) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.offset(start + middle as u32),
            }
        }
        None
    }

    fn offset(&self, number: u32) -> Option<u64> {
        let count = u64::from(self.count);
        let offsets = 8 + 1024 + count * 24;
        let word = self.index_at(offsets + u64::from(number) * 4, 4)?;
        let word = u32::from_be_bytes(word.try_into().ok()?);
        if word & 0x8000_0000 == 0 {
            return Some(u64::from(word));
        }
        let wide = self.index_at(offsets + count * 4 + u64::from(word & 0x7fff_ffff) * 8, 8)?;
        Some(u64::from_be_bytes(wide.try_into().ok()?))
    }

    /// Adds the ids that begin with these digits.
    pub fn starting(&self, hex: &str, found: &mut Vec<Id>) {
        let Ok(first) = u8::from_str_radix(&hex[..2], 16) else { return };
        let Some((_, bucket)) = self.bucket(first) else { return };
        for id in bucket.chunks_exact(20) {
            let id = Id(id.try_into().expect("twenty bytes"));
            if id.hex().starts_with(hex) {
                found.push(id);
            }
        }
    }

    /// Reads the object at an offset; `other` finds a base that lies in another pack.
    pub fn read(&self, at: u64, other: &Elsewhere, depth: usize) -> Option<(Kind, Vec<u8>)> {
        let (kind, data) = self.shared(at, other, depth)?;
        Some((kind, Rc::try_unwrap(data).unwrap_or_else(|data| (*data).clone())))
    }

    fn shared(&self, at: u64, other: &Elsewhere, depth: usize) -> Option<(Kind, Rc<Vec<u8>>)> {
        if depth > DEPTH {
            return None;
        }
        if let Some((kind, data)) = self.bases.borrow().0.get(&at) {
            return Some((*kind, data.clone()));
        }
        let mut file = self.data.borrow_mut();
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut piece = vec![0; PIECE];
        let mut have = 0;
        while have < 64 {
            match file.read(&mut piece[have..]).ok()? {
                0 => break,
                read => have += read,
            }
        }
        piece.truncate(have);
        let mut used = 0;
        let mut next = || {
            used += 1;
            piece.get(used - 1).copied()
        };
        let mut byte = next()?;
        let code = byte >> 4 & 7;
        let mut size = u64::from(byte & 15);
        let mut shift = 4;
        while byte & 0x80 != 0 && shift < 60 {
            byte = next()?;
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        if size > MOST {
            return None;
        }
        enum Base {
            None(Kind),
            At(u64),
            Id(Id),
        }
        let base = match code {
            1 => Base::None(Kind::Commit),
            2 => Base::None(Kind::Tree),
            3 => Base::None(Kind::Blob),
            4 => Base::None(Kind::Tag),
            6 => {
                let mut byte = next()?;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    back = (back.checked_add(1)? << 7) | u64::from(byte & 0x7f);
                }
                Base::At(at.checked_sub(back)?)
            }
            7 => {
                let mut id = [0; 20];
                for byte in &mut id {
                    *byte = next()?;
                }
                Base::Id(Id(id))
            }
            _ => return None,
        };
        let data = inflate(&mut file, &piece[used..], size as usize)?;
        drop(file);
        let (kind, data) = match base {
            Base::None(kind) => (kind, data),
            Base::At(base) => {
                let (kind, base) = self.shared(base, other, depth + 1)?;
                (kind, apply(&base, &data)?)
            }
            Base::Id(id) => {
                let (kind, base) = match self.find(&id) {
                    Some(base) => self.shared(base, other, depth + 1)?,
                    None => other(&id).map(|(kind, data)| (kind, Rc::new(data)))?,
                };
                (kind, apply(&base, &data)?)
            }
        };
        let data = Rc::new(data);
        let mut kept = self.bases.borrow_mut();
        if data.len() < KEPT / 8 {
            kept.1 += data.len() + 64;
            if kept.1 > KEPT {
                kept.0.clear();
                kept.1 = data.len() + 64;
            }
            kept.0.insert(at, (kind, data.clone()));
        }
        Some((kind, data))
    }
}

fn inflate(file: &mut File, first: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut unpacker = Decompress::new(true);
    let mut out = Vec::with_capacity(size + 1);
    let mut input = first.to_vec();
    let mut used = 0;
    loop {
        let before = unpacker.total_in();
        let status = unpacker.decompress_vec(&input[used..], &mut out, FlushDecompress::None).ok()?;
        used += (unpacker.total_in() - before) as usize;
        if status == Status::StreamEnd {
            break;
        }
        if used == input.len() {
            input.resize(16 * PIECE, 0);
            let read = file.read(&mut input).ok()?;
            if read == 0 {
                return None;
            }
            input.truncate(read);
            used = 0;
        } else if unpacker.total_in() == before && out.len() > size {
            return None;
        }
    }
    (out.len() == size).then_some(out)
}

/// Applies a delta to its base.
pub fn apply(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    let mut next = || {
        at += 1;
        delta.get(at - 1).copied()
    };
    let mut size = || {
        let (mut size, mut shift) = (0u64, 0);
        loop {
            let byte = next()?;
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 56 {
                return Some(size);
            }
        }
    };
    let (from, to) = (size()?, size()?);
    if from != base.len() as u64 || to > MOST {
        return None;
    }
    let mut out = Vec::with_capacity(to as usize);
    while at < delta.len() {
        let code = delta[at];
        at += 1;
        if code & 0x80 != 0 {
            let (mut start, mut length) = (0usize, 0usize);
            for bit in 0..4 {
                if code & 1 << bit != 0 {
                    start |= usize::from(*delta.get(at)?) << (8 * bit);
                    at += 1;
                }
            }
            for bit in 0..3 {
                if code & 16 << bit != 0 {
                    length |= usize::from(*delta.get(at)?) << (8 * bit);
                    at += 1;
                }
            }
            if length == 0 {
                length = 0x10000;
            }
            out.extend_from_slice(base.get(start..start.checked_add(length)?)?);
        } else if code != 0 {
            out.extend_from_slice(delta.get(at..at + usize::from(code))?);
            at += usize::from(code);
        } else {
            return None;
        }
        if out.len() as u64 > to {
            return None;
        }
    }
    (out.len() as u64 == to).then_some(out)
}
