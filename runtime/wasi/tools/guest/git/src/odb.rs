//! The object store: loose objects, packs, and the stores that `objects/info/alternates` names.

use crate::error::{Result, fatal};
use crate::object::{Commit, Entry, Id, Kind, parse_tree};
use crate::pack::Pack;
use bstr::ByteSlice;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Most bytes that an object may have: 512 MiB.
pub const MOST: u64 = 512 << 20;
/// How deep stores may name others.
const ALTERNATES: usize = 5;

/// All stores of a repository.
pub struct Odb {
    dirs: Vec<PathBuf>,
    packs: OnceCell<Vec<Pack>>,
    trees: RefCell<HashMap<Id, Rc<Vec<Entry>>>>,
}

impl Odb {
    pub fn open(objects: PathBuf) -> Odb {
        let mut dirs = vec![objects];
        let mut at = 0;
        while at < dirs.len() && dirs.len() < 64 && at < ALTERNATES * 8 {
            if let Ok(text) = fs::read(dirs[at].join("info/alternates")) {
                for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
                    let dir = dirs[at].join(guest_host::path_of(line));
                    if !dirs.contains(&dir) {
                        dirs.push(dir);
                    }
                }
            }
            at += 1;
        }
        Odb { dirs, packs: OnceCell::new(), trees: RefCell::default() }
    }

    /// Returns the directories of objects, the own one first.
    pub fn stores(&self) -> &[PathBuf] {
        &self.dirs
    }

    fn packs(&self) -> &[Pack] {
        self.packs.get_or_init(|| {
            let mut packs = Vec::new();
            for dir in &self.dirs {
                let Ok(names) = fs::read_dir(dir.join("pack")) else { continue };
                for name in names.flatten() {
                    let path = name.path();
                    if path.extension().is_some_and(|ext| ext == "idx") {
                        packs.extend(Pack::open(&path));
                    }
                }
            }
            packs
        })
    }

    fn loose(&self, id: &Id) -> Option<(Kind, Vec<u8>)> {
        let hex = id.hex();
        for dir in &self.dirs {
            let Ok(file) = fs::File::open(dir.join(&hex[..2]).join(&hex[2..])) else { continue };
            let mut data = Vec::new();
            ZlibDecoder::new(file).take(MOST).read_to_end(&mut data).ok()?;
            let end = data.find_byte(0)?;
            let kind = Kind::parse(data[..end].split_str(" ").next()?)?;
            data.drain(..=end);
            return Some((kind, data));
        }
        None
    }

    /// Reads an object, wherever it is.
    pub fn find(&self, id: &Id) -> Option<(Kind, Vec<u8>)> {
        // The empty tree is known without being stored.
        if *id == EMPTY_TREE {
            return Some((Kind::Tree, Vec::new()));
        }
        for pack in self.packs() {
            if let Some(at) = pack.find(id) {
                let read = |id: &Id| self.find(id);
                return pack.read(at, &read, 0);
            }
        }
        self.loose(id)
    }

    pub fn read(&self, id: &Id) -> Result<(Kind, Vec<u8>)> {
        self.find(id).ok_or_else(|| fatal(format!("bad object {id}")))
    }

    pub fn has(&self, id: &Id) -> bool {
        let hex = id.hex();
        *id == EMPTY_TREE
            || self.packs().iter().any(|pack| pack.find(id).is_some())
            || self.dirs.iter().any(|dir| dir.join(&hex[..2]).join(&hex[2..]).is_file())
    }

    pub fn kind(&self, id: &Id) -> Option<Kind> {
        self.find(id).map(|(kind, _)| kind)
    }

    pub fn blob(&self, id: &Id) -> Result<Vec<u8>> {
        match self.read(id)? {
            (Kind::Blob, data) => Ok(data),
            _ => Err(fatal(format!("{id} is not a blob"))),
        }
    }

    pub fn commit(&self, id: &Id) -> Result<Commit> {
        match self.read(id)? {
            (Kind::Commit, data) => Commit::parse(*id, &data),
            _ => Err(fatal(format!("{id} is not a commit"))),
        }
    }

    /// A tree's entries; kept, since histories share most of their trees.
    pub fn tree(&self, id: &Id) -> Result<Rc<Vec<Entry>>> {
        if let Some(entries) = self.trees.borrow().get(id) {
            return Ok(entries.clone());
        }
        let entries = match self.read(id)? {
            (Kind::Tree, data) => Rc::new(parse_tree(&data)?),
            _ => return Err(fatal(format!("{id} is not a tree"))),
        };
        let mut kept = self.trees.borrow_mut();
        if kept.len() > 20_000 {
            kept.clear();
        }
        kept.insert(*id, entries.clone());
        Ok(entries)
    }

    /// All ids that begin with these hexadecimal digits (at least 4).
    pub fn starting(&self, hex: &str) -> Vec<Id> {
        let mut found = Vec::new();
        for pack in self.packs() {
            pack.starting(hex, &mut found);
        }
        for dir in &self.dirs {
            let Ok(names) = fs::read_dir(dir.join(&hex[..2])) else { continue };
            for name in names.flatten() {
                let name = format!("{}{}", &hex[..2], name.file_name().to_string_lossy());
                if name.starts_with(hex) {
                    found.extend(Id::parse(name.as_bytes()));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// How many objects there are, about: what decides the length of short ids.
    pub fn count(&self) -> u64 {
        self.packs().iter().map(|pack| u64::from(pack.count)).sum::<u64>()
    }

    /// The number of loose objects of the own store and the bytes of their files.
    pub fn loose_count(&self) -> (u64, u64) {
        let (mut count, mut bytes) = (0, 0);
        for first in 0..=255u8 {
            let Ok(names) = fs::read_dir(self.dirs[0].join(format!("{first:02x}"))) else { continue };
            for name in names.flatten() {
                count += 1;
                bytes += name.metadata().map_or(0, |meta| meta.len().div_ceil(4096) * 4096);
            }
        }
        (count, bytes)
    }

    /// Writes an object and returns its id.
    pub fn write(&self, kind: Kind, data: &[u8]) -> Result<Id> {
        let id = Id::of(kind, data);
        if self.has(&id) {
            return Ok(id);
        }
        let hex = id.hex();
        let dir = self.dirs[0].join(&hex[..2]);
        fs::create_dir_all(&dir).map_err(|error| storing(&dir, &error))?;
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(format!("{} {}\0", kind.name(), data.len()).as_bytes())?;
        packer.write_all(data)?;
        let path = dir.join(&hex[2..]);
        fs::write(&path, packer.finish()?).map_err(|error| storing(&path, &error))?;
        let _ = guest_host::set_mode(&path, 0o444);
        Ok(id)
    }
}

/// The id of the tree without entries.
pub const EMPTY_TREE: Id = Id([
    0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb,
    0xee, 0x49, 0x04,
]);

fn storing(path: &Path, error: &std::io::Error) -> crate::error::Die {
    fatal(format!("unable to write {}: {}", path.display(), crate::error::reason(error)))
}
