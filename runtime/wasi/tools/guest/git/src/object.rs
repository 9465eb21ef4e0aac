//! Objects: their ids, kinds and the texts of commits, tags and trees.

use crate::error::{Result, die};
use bstr::ByteSlice;
use sha1::{Digest, Sha1};

/// An object's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Id(pub [u8; 20]);

impl Id {
    /// The name of no object.
    pub const ZERO: Id = Id([0; 20]);

    pub fn parse(hex: &[u8]) -> Option<Id> {
        if hex.len() != 40 {
            return None;
        }
        let mut id = [0; 20];
        for (at, pair) in hex.chunks(2).enumerate() {
            let digit = |byte: u8| (byte as char).to_digit(16);
            id[at] = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Id(id))
    }

    pub fn of(kind: Kind, data: &[u8]) -> Id {
        let mut hash = Sha1::new();
        hash.update(format!("{} {}\0", kind.name(), data.len()));
        hash.update(data);
        Id(hash.finalize().into())
    }

    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn is_zero(&self) -> bool {
        *self == Id::ZERO
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }

    pub fn parse(name: &[u8]) -> Option<Kind> {
        [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Who did something and when: `Name <mail> seconds zone`.
#[derive(Clone, Debug, Default)]
pub struct Who {
    pub name: Vec<u8>,
    pub mail: Vec<u8>,
    pub time: i64,
    /// Minutes east of Greenwich.
    pub zone: i32,
}

impl Who {
    pub fn parse(line: &[u8]) -> Who {
        let (Some(open), Some(close)) = (line.find_byte(b'<'), line.rfind_byte(b'>')) else {
            return Who::default();
        };
        let mut rest = line[close + 1..].to_str_lossy().trim().to_owned();
        let zone = rest.split_off(rest.find(' ').unwrap_or(rest.len()));
        let zone: i32 = zone.trim().parse().unwrap_or(0);
        Who {
            name: line[..open].trim().to_vec(),
            mail: line[open + 1..close].to_vec(),
            time: rest.parse().unwrap_or(0),
            zone: zone / 100 * 60 + zone % 100,
        }
    }

    pub fn line(&self) -> Vec<u8> {
        let mut line = self.name.clone();
        line.extend_from_slice(b" <");
        line.extend_from_slice(&self.mail);
        line.extend_from_slice(format!("> {} {}", self.time, crate::date::zone(self.zone)).as_bytes());
        line
    }
}

/// A commit's text, read.
#[derive(Clone, Debug)]
pub struct Commit {
    pub id: Id,
    pub tree: Id,
    pub parents: Vec<Id>,
    pub author: Who,
    pub committer: Who,
    pub message: Vec<u8>,
}

impl Commit {
    pub fn parse(id: Id, data: &[u8]) -> Result<Commit> {
        let mut commit = Commit {
            id,
            tree: Id::ZERO,
            parents: Vec::new(),
            author: Who::default(),
            committer: Who::default(),
            message: Vec::new(),
        };
        let mut rest = data;
        while let Some(end) = rest.find_byte(b'\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            if let Some(hex) = line.strip_prefix(b"tree ") {
                commit.tree = Id::parse(hex).ok_or_else(|| die(128, format!("bad tree in commit {id}")))?;
            } else if let Some(hex) = line.strip_prefix(b"parent ") {
                commit.parents.extend(Id::parse(hex));
            } else if let Some(who) = line.strip_prefix(b"author ") {
                commit.author = Who::parse(who);
            } else if let Some(who) = line.strip_prefix(b"committer ") {
                commit.committer = Who::parse(who);
            }
        }
        commit.message = rest.to_vec();
        Ok(commit)
    }

    /// The first paragraph as one line.
    pub fn subject(&self) -> Vec<u8> {
        let mut subject = Vec::new();
        for line in self.message.trim_start_with(|c| c == '\n').lines() {
            if line.trim().is_empty() {
                break;
            }
            if !subject.is_empty() {
                subject.push(b' ');
            }
            subject.extend_from_slice(line.trim_end());
        }
        subject
    }

    /// What follows the first paragraph.
    pub fn body(&self) -> &[u8] {
        let message = self.message.trim_start_with(|c| c == '\n');
        match message.find("\n\n") {
            Some(at) => message[at..].trim_start_with(|c| c == '\n'),
            None => b"",
        }
    }
}

/// One name in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub mode: u32,
    pub name: Vec<u8>,
    pub id: Id,
}

impl Entry {
    pub fn is_tree(&self) -> bool {
        self.mode == 0o40000
    }
}

/// Reads a tree's entries.
pub fn parse_tree(data: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let bad = || die(128, "fatal: corrupt tree file");
        let space = rest.find_byte(b' ').ok_or_else(bad)?;
        let end = rest.find_byte(0).ok_or_else(bad)?;
        if space > end || rest.len() < end + 21 {
            return Err(bad());
        }
        let mode =
            std::str::from_utf8(&rest[..space]).ok().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let id: [u8; 20] = rest[end + 1..end + 21].try_into().expect("twenty bytes were sliced");
        entries.push(Entry { mode: mode.ok_or_else(bad)?, name: rest[space + 1..end].to_vec(), id: Id(id) });
        rest = &rest[end + 21..];
    }
    Ok(entries)
}

/// The order of names in a tree: a directory sorts as if it ended in a slash.
pub fn tree_order(a: (&[u8], bool), b: (&[u8], bool)) -> std::cmp::Ordering {
    let end = |(name, tree): (&[u8], bool), at: usize| match name.get(at) {
        Some(byte) => i32::from(*byte),
        None if tree => i32::from(b'/'),
        None => -1,
    };
    let common = a.0.len().min(b.0.len());
    a.0[..common].cmp(&b.0[..common]).then_with(|| end(a, common).cmp(&end(b, common)))
}

/// Writes a tree's entries, which must be in tree order.
pub fn write_tree(entries: &[Entry]) -> Vec<u8> {
    let mut data = Vec::new();
    for entry in entries {
        data.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(&entry.id.0);
    }
    data
}
