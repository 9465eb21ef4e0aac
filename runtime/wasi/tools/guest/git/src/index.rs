//! The index: versions 2 to 4 are read, 2 is written.

use crate::error::{Result, fatal, reason};
use crate::object::{Entry as TreeEntry, Id, Kind, tree_order, write_tree};
use crate::odb::Odb;
use bstr::ByteSlice;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One file of the index.
#[derive(Clone, Debug)]
pub struct Entry {
    pub path: Vec<u8>,
    pub mode: u32,
    pub id: Id,
    /// 0, or 1 to 3 in a conflict.
    pub stage: u8,
    /// The file's time and size when its content was last known to be this; zero if unknown.
    pub time: (u32, u32),
    pub size: u32,
    /// Only announced (`git add -N`).
    pub intent: bool,
    other: [u32; 6],
}

impl Entry {
    pub fn new(path: Vec<u8>, mode: u32, id: Id) -> Entry {
        Entry { path, mode, id, stage: 0, time: (0, 0), size: 0, intent: false, other: [0; 6] }
    }

    /// Takes over what is known of the file now.
    pub fn seen(&mut self, stat: &guest_host::Stat) {
        self.time = seconds(stat.modified);
        self.size = stat.size as u32;
        let changed = seconds(stat.changed);
        self.other = [changed.0, changed.1, stat.device as u32, stat.inode as u32, stat.user, stat.group];
    }
}

/// A time as the index says it.
pub fn seconds(time: SystemTime) -> (u32, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_secs() as u32, since.subsec_nanos())
}

/// All files of the index, by path and stage.
#[derive(Default)]
pub struct Index {
    pub entries: Vec<Entry>,
    /// When the index itself was written: a file as young as this may have changed unseen.
    pub written: (u32, u32),
}

impl Index {
    pub fn read(path: &Path) -> Result<Index> {
        let data = match std::fs::read(path) {
            Ok(data) => data,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Index::default()),
            Err(error) => return Err(fatal(format!("{}: {}", path.display(), reason(&error)))),
        };
        let written = guest_host::stat(path, true).map_or((0, 0), |stat| seconds(stat.modified));
        let entries = parse(&data).ok_or_else(|| fatal("index file corrupt"))?;
        Ok(Index { entries, written })
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let mut data = b"DIRC".to_vec();
        let extended = self.entries.iter().any(|entry| entry.intent);
        data.extend_from_slice(&(if extended { 3u32 } else { 2 }).to_be_bytes());
        data.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for entry in &self.entries {
            let start = data.len();
            let other = entry.other;
            for word in [
                other[0],
                other[1],
                entry.time.0,
                entry.time.1,
                other[2],
                other[3],
                entry.mode,
                other[4],
                other[5],
            ] {
                data.extend_from_slice(&word.to_be_bytes());
            }
            data.extend_from_slice(&entry.size.to_be_bytes());
            data.extend_from_slice(&entry.id.0);
            let mut flags = (entry.path.len().min(0xfff) as u16) | u16::from(entry.stage) << 12;
            if entry.intent {
                flags |= 0x4000;
            }
            data.extend_from_slice(&flags.to_be_bytes());
            if entry.intent {
                data.extend_from_slice(&0x2000u16.to_be_bytes());
            }
            data.extend_from_slice(&entry.path);
            data.push(0);
            while !(data.len() - start).is_multiple_of(8) {
                data.push(0);
            }
        }
        let sum = Sha1::digest(&data);
        data.extend_from_slice(&sum);
        let lock = path.with_extension("lock");
        let failed = |error: std::io::Error| {
            fatal(format!("Unable to create '{}': {}.", lock.display(), reason(&error)))
        };
        std::fs::write(&lock, data).map_err(failed)?;
        std::fs::rename(&lock, path)
            .map_err(|error| fatal(format!("unable to write new index file: {}", reason(&error))))
    }

    fn at(&self, path: &[u8], stage: u8) -> std::result::Result<usize, usize> {
        self.entries.binary_search_by(|entry| (entry.path.as_slice(), entry.stage).cmp(&(path, stage)))
    }

    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.at(path, 0).ok().map(|at| &self.entries[at])
    }

    pub fn get_mut(&mut self, path: &[u8]) -> Option<&mut Entry> {
        self.at(path, 0).ok().map(|at| &mut self.entries[at])
    }

    pub fn stages(&self, path: &[u8]) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.path.as_slice() < path);
        let end = start + self.entries[start..].iter().take_while(|entry| entry.path == path).count();
        &self.entries[start..end]
    }

    /// Puts an entry in, in place of what stood at its path.
    pub fn put(&mut self, entry: Entry) {
        self.remove(&entry.path);
        // A file displaces the directory of its name, and the files that its parents were.
        let mut inside = entry.path.clone();
        inside.push(b'/');
        let start = self.entries.partition_point(|other| other.path.as_slice() < inside.as_slice());
        let count = self.entries[start..].iter().take_while(|other| other.path.starts_with(&inside)).count();
        self.entries.drain(start..start + count);
        for (at, _) in entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.remove(&entry.path[..at]);
        }
        let at = self.at(&entry.path, entry.stage).unwrap_or_else(|at| at);
        self.entries.insert(at, entry);
    }

    /// Puts an entry of a conflict in beside the others.
    pub fn put_stage(&mut self, entry: Entry) {
        match self.at(&entry.path, entry.stage) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Takes a path out, all stages.
    pub fn remove(&mut self, path: &[u8]) -> bool {
        let start = self.entries.partition_point(|entry| entry.path.as_slice() < path);
        let count = self.entries[start..].iter().take_while(|entry| entry.path == path).count();
        self.entries.drain(start..start + count);
        count > 0
    }

    /// Paths in conflict.
    pub fn unmerged(&self) -> Vec<Vec<u8>> {
        let mut paths: Vec<_> =
            self.entries.iter().filter(|entry| entry.stage != 0).map(|entry| entry.path.clone()).collect();
        paths.dedup();
        paths
    }

    /// Whether the index has files below a directory.
    pub fn has_below(&self, dir: &[u8]) -> bool {
        let mut dir = dir.to_vec();
        dir.push(b'/');
        let start = self.entries.partition_point(|entry| entry.path.as_slice() < dir.as_slice());
        self.entries.get(start).is_some_and(|entry| entry.path.starts_with(&dir))
    }

    /// Path, mode and id of all files.
    pub fn files(&self) -> BTreeMap<Vec<u8>, (u32, Id)> {
        self.entries
            .iter()
            .filter(|entry| entry.stage == 0 && !entry.intent)
            .map(|entry| (entry.path.clone(), (entry.mode, entry.id)))
            .collect()
    }

    /// Writes the trees of the index and returns the topmost.
    pub fn write_tree(&self, odb: &Odb) -> Result<Id> {
        build_tree(odb, &self.files())
    }
}

/// Writes the trees of these files and returns the topmost.
pub fn build_tree(odb: &Odb, files: &BTreeMap<Vec<u8>, (u32, Id)>) -> Result<Id> {
    fn below(odb: &Odb, files: &[(&[u8], u32, Id)], skip: usize) -> Result<Id> {
        let mut entries: Vec<TreeEntry> = Vec::new();
        let mut at = 0;
        while at < files.len() {
            let (path, mode, id) = files[at];
            match path[skip..].find_byte(b'/') {
                None => {
                    entries.push(TreeEntry { mode, name: path[skip..].to_vec(), id });
                    at += 1;
                }
                Some(end) => {
                    let dir = &path[..skip + end + 1];
                    let count = files[at..].iter().take_while(|(path, ..)| path.starts_with(dir)).count();
                    let id = below(odb, &files[at..at + count], skip + end + 1)?;
                    entries.push(TreeEntry { mode: 0o40000, name: path[skip..skip + end].to_vec(), id });
                    at += count;
                }
            }
        }
        entries.sort_by(|a, b| tree_order((&a.name, a.is_tree()), (&b.name, b.is_tree())));
        odb.write(Kind::Tree, &write_tree(&entries))
    }
    let files: Vec<_> = files.iter().map(|(path, (mode, id))| (path.as_slice(), *mode, *id)).collect();
    below(odb, &files, 0)
}

fn parse(data: &[u8]) -> Option<Vec<Entry>> {
    let word = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    if data.get(..4)? != b"DIRC" {
        return None;
    }
    let version = word(4)?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = word(8)? as usize;
    let mut entries: Vec<Entry> = Vec::with_capacity(count.min(1 << 20));
    let mut at = 12;
    for _ in 0..count {
        let start = at;
        let flags = u16::from_be_bytes(data.get(at + 60..at + 62)?.try_into().ok()?);
        let mut entry = Entry {
            path: Vec::new(),
            mode: word(at + 24)?,
            id: Id(data.get(at + 40..at + 60)?.try_into().ok()?),
            stage: (flags >> 12 & 3) as u8,
            time: (word(at + 8)?, word(at + 12)?),
            size: word(at + 36)?,
            intent: false,
            other: [word(at)?, word(at + 4)?, word(at + 16)?, word(at + 20)?, word(at + 28)?, word(at + 32)?],
        };
        at += 62;
        if flags & 0x4000 != 0 {
            let more = u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?);
            entry.intent = more & 0x2000 != 0;
            at += 2;
        }
        if version == 4 {
            let mut byte = *data.get(at)?;
            at += 1;
            let mut cut = usize::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = *data.get(at)?;
                at += 1;
                cut = ((cut + 1) << 7) | usize::from(byte & 0x7f);
            }
            let before = entries.last().map_or(&[][..], |entry| &entry.path);
            entry.path = before.get(..before.len().checked_sub(cut)?)?.to_vec();
            let end = at + data.get(at..)?.find_byte(0)?;
            entry.path.extend_from_slice(&data[at..end]);
            at = end + 1;
        } else {
            let end = at + data.get(at..)?.find_byte(0)?;
            entry.path = data[at..end].to_vec();
            at = start + (end - start) / 8 * 8 + 8;
        }
        entries.push(entry);
    }
    Some(entries)
}
