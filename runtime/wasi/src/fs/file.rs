//! A file's content: the lower one, with the blocks that were written over it. Nothing is copied before it is written.

use super::area::{Area, PAGE};
use super::lower::{Found, Lower};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

/// Bytes of a block: what a write to a lower file copies.
const BLOCK: u64 = 64 << 10;

/// A regular file of the tree. Names and open handles share it; when the last is gone, so is its room.
#[derive(Debug)]
pub(super) struct File {
    area: Option<Area>,
    state: Mutex<State>,
}

/// What is known of a file or directory besides its content.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub ino: u64,
    pub mode: u32,
    pub nlink: u64,
    pub mtime: SystemTime,
    pub atime: SystemTime,
    pub ctime: SystemTime,
    /// Whether the agent owns it; else the rights of others count.
    pub own: bool,
}

impl Meta {
    pub(super) fn new(ino: u64, mode: u32, now: SystemTime) -> Meta {
        Meta { ino, mode: mode & 0o7777, nlink: 1, mtime: now, atime: now, ctime: now, own: true }
    }

    pub(super) fn lower(found: &Found) -> Meta {
        Meta {
            ino: found.ino,
            mode: found.mode,
            nlink: found.nlink,
            mtime: found.mtime,
            atime: found.atime,
            ctime: found.ctime,
            own: found.own,
        }
    }

    /// Whether the agent has these rights (4 read, 2 write, 1 execute).
    pub(super) fn allows(&self, rights: u32) -> bool {
        let shift = if self.own { 6 } else { 0 };
        (self.mode >> shift) & rights == rights
    }
}

#[derive(Debug)]
struct State {
    meta: Meta,
    size: u64,
    /// What shows where no block is.
    base: Option<Base>,
    blocks: BTreeMap<u64, Vec<u8>>,
    /// Pages of the blocks, in bytes.
    charged: u64,
    counts_inode: bool,
    changed: bool,
}

#[derive(Debug)]
struct Base {
    lower: Arc<Lower>,
    path: Vec<u8>,
    /// Bytes of it that still show.
    valid: u64,
    open: Weak<OwnedFd>,
}

impl Base {
    fn fd(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(fd) = self.open.upgrade() {
            return Ok(fd);
        }
        let fd = Arc::new(self.lower.file(&self.path)?);
        self.open = Arc::downgrade(&fd);
        Ok(fd)
    }
}

impl File {
    /// A file of the lower directory. `area` takes what is written to it; without one it is read-only.
    pub(super) fn lower(found: &Found, lower: Arc<Lower>, path: Vec<u8>, area: Option<Area>) -> File {
        let base = Base { lower, path, valid: found.size, open: Weak::new() };
        File {
            area,
            state: Mutex::new(State {
                meta: Meta::lower(found),
                size: found.size,
                base: Some(base),
                blocks: BTreeMap::new(),
                charged: 0,
                counts_inode: false,
                changed: false,
            }),
        }
    }

    /// A new, empty file.
    pub(super) fn new(meta: Meta, area: Area) -> Result<File, Errno> {
        area.take_inode()?;
        Ok(File::with(meta, Vec::new(), Some(area), true))
    }

    /// A file that cannot be written.
    pub(super) fn fixed(meta: Meta, bytes: &[u8]) -> File {
        File::with(meta, bytes.to_vec(), None, false)
    }

    fn with(meta: Meta, bytes: Vec<u8>, area: Option<Area>, counts_inode: bool) -> File {
        let size = bytes.len() as u64;
        let blocks = if bytes.is_empty() { BTreeMap::new() } else { BTreeMap::from([(0, bytes)]) };
        let state = State { meta, size, base: None, blocks, charged: 0, counts_inode, changed: counts_inode };
        File { area, state: Mutex::new(state) }
    }

    /// The same content in another area. Nothing of a lower file may show any more.
    pub(super) fn copy(&self, area: Area) -> Result<File, Errno> {
        let state = self.lock();
        area.take_inode()?;
        if let Err(e) = area.resize(0, state.charged) {
            area.give_inode();
            return Err(e);
        }
        let copy = State {
            meta: Meta { nlink: 1, ..state.meta.clone() },
            size: state.size,
            base: None,
            blocks: state.blocks.clone(),
            charged: state.charged,
            counts_inode: true,
            changed: true,
        };
        Ok(File { area: Some(area), state: Mutex::new(copy) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meta(&self) -> Meta {
        self.lock().meta.clone()
    }

    pub(super) fn size(&self) -> u64 {
        self.lock().size
    }

    /// Whether anything of it differs from the lower file.
    pub(super) fn changed(&self) -> bool {
        self.lock().changed
    }

    /// What time it is where it lies.
    fn now(&self) -> SystemTime {
        self.area.as_ref().map_or_else(SystemTime::now, Area::now)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.area.is_none()
    }

    /// Changes what is known of it.
    pub(super) fn edit_meta(&self, edit: impl FnOnce(&mut Meta)) -> Result<(), Errno> {
        let mut state = self.lock();
        self.touch(&mut state)?;
        edit(&mut state.meta);
        state.meta.ctime = self.now();
        Ok(())
    }

    /// Changes the number of its names, which is no change of its content.
    pub(super) fn relink(&self, edit: impl FnOnce(&mut u64)) {
        edit(&mut self.lock().meta.nlink);
    }

    /// The lower file's descriptor, to be held by whoever reads it: else each read opens it anew.
    pub(super) fn hold(&self) -> Result<Option<Arc<OwnedFd>>, Errno> {
        self.lock().base.as_mut().map(Base::fd).transpose()
    }

    /// Reads at an offset; 0 at the end.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mut state = self.lock();
        let left = state.size.saturating_sub(at);
        let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let state = &mut *state;
        if state.blocks.is_empty()
            && let Some(base) = &mut state.base
        {
            let shown = base.valid.saturating_sub(at).min(want as u64) as usize;
            if shown == want {
                let fd = base.fd()?;
                return rustix::io::pread(&*fd, &mut into[..want], at);
            }
        }
        let mut done = 0;
        while done < want {
            let offset = at + done as u64;
            let (index, inside) = (offset / BLOCK, (offset % BLOCK) as usize);
            let n = (want - done).min(BLOCK as usize - inside);
            let part = &mut into[done..done + n];
            match state.blocks.get(&index) {
                Some(block) => {
                    let there = block.len().saturating_sub(inside).min(n);
                    part[..there].copy_from_slice(&block[inside..inside + there]);
                    part[there..].fill(0);
                }
                None => read_base(state.base.as_mut(), offset, part)?,
            }
            done += n;
        }
        Ok(done)
    }

    /// Writes all at an offset.
    pub(super) fn write_at(&self, at: u64, from: &[u8]) -> Result<usize, Errno> {
        let mut state = self.lock();
        self.write(&mut state, at, from)
    }

    /// Writes all at the end, and returns where the end is then.
    pub(super) fn append(&self, from: &[u8]) -> Result<u64, Errno> {
        let mut state = self.lock();
        let end = state.size;
        self.write(&mut state, end, from)?;
        Ok(state.size)
    }

    fn write(&self, state: &mut State, at: u64, from: &[u8]) -> Result<usize, Errno> {
        let area = self.area.as_ref().ok_or(Errno::ROFS)?;
        if from.is_empty() {
            return Ok(0);
        }
        let Some(room) = area.longest().checked_sub(at).filter(|room| *room > 0) else {
            area.fire();
            return Err(Errno::FBIG);
        };
        let from = &from[..from.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        self.touch(state)?;
        let mut done = 0;
        while done < from.len() {
            let offset = at + done as u64;
            let (index, inside) = (offset / BLOCK, (offset % BLOCK) as usize);
            let n = (from.len() - done).min(BLOCK as usize - inside);
            match self.block(state, area, index, inside, inside + n) {
                Ok(block) => block[inside..inside + n].copy_from_slice(&from[done..done + n]),
                // What fitted was written, as by the kernel.
                Err(_) if done > 0 => break,
                Err(e) => return Err(e),
            }
            done += n;
            state.size = state.size.max(offset + n as u64);
        }
        let now = self.now();
        (state.meta.mtime, state.meta.ctime) = (now, now);
        Ok(done)
    }

    /// The block, at least `end` bytes long, with what shows of the lower file in it, unless that is written over anyway.
    fn block<'s>(
        &self,
        state: &'s mut State,
        area: &Area,
        index: u64,
        begin: usize,
        end: usize,
    ) -> Result<&'s mut Vec<u8>, Errno> {
        let pages = |n: usize| (n as u64).div_ceil(PAGE) * PAGE;
        let start = index * BLOCK;
        if !state.blocks.contains_key(&index) {
            let shown = state.base.as_ref().map_or(0, |b| b.valid.saturating_sub(start).min(BLOCK)) as usize;
            let length = shown.max(end);
            area.resize(0, pages(length))?;
            let mut bytes = vec![0; length];
            if (begin > 0 || end < shown)
                && let Err(e) = read_base(state.base.as_mut(), start, &mut bytes[..shown])
            {
                area.resize(pages(length), 0)?;
                return Err(e);
            }
            state.charged += pages(length);
            state.blocks.insert(index, bytes);
        }
        let block = state.blocks.get_mut(&index).ok_or(Errno::IO)?;
        if block.len() < end {
            let (old, new) = (pages(block.len()), pages(end));
            area.resize(old, new)?;
            state.charged += new - old;
            // Doubling keeps many small writes cheap.
            if block.capacity() < end {
                let room = (end * 2).clamp(PAGE as usize, BLOCK as usize);
                block.reserve_exact(room.max(end) - block.len());
            }
            block.resize(end, 0);
        }
        Ok(block)
    }

    /// Copies all that still shows of the lower file, so that it can be elsewhere.
    pub(super) fn detach(&self) -> Result<(), Errno> {
        let area = self.area.as_ref().ok_or(Errno::ROFS)?;
        let mut state = self.lock();
        self.touch(&mut state)?;
        let shown = state.base.as_ref().map_or(0, |base| base.valid);
        for index in 0..shown.div_ceil(BLOCK) {
            self.block(&mut state, area, index, 0, 0)?;
        }
        state.base = None;
        Ok(())
    }

    /// Cuts it off, or lengthens it by a hole.
    pub(super) fn set_len(&self, length: u64) -> Result<(), Errno> {
        let area = self.area.as_ref().ok_or(Errno::ROFS)?;
        if length > area.longest() {
            return Err(Errno::FBIG);
        }
        let mut state = self.lock();
        self.touch(&mut state)?;
        let state = &mut *state;
        if length < state.size {
            if let Some(base) = &mut state.base {
                base.valid = base.valid.min(length);
            }
            if state.base.as_ref().is_some_and(|b| b.valid == 0) {
                state.base = None;
            }
            let first_gone = length.div_ceil(BLOCK);
            drop(state.blocks.split_off(&first_gone));
            if let Some(last) = state.blocks.get_mut(&(length / BLOCK)) {
                last.truncate((length % BLOCK) as usize);
                last.shrink_to_fit();
            }
            let pages = state.blocks.values().map(|b| (b.len() as u64).div_ceil(PAGE) * PAGE).sum();
            area.resize(state.charged, pages)?;
            state.charged = pages;
        }
        state.size = length;
        let now = self.now();
        (state.meta.mtime, state.meta.ctime) = (now, now);
        Ok(())
    }

    /// The first change of a lower file takes a file of the area.
    fn touch(&self, state: &mut State) -> Result<(), Errno> {
        let area = self.area.as_ref().ok_or(Errno::ROFS)?;
        if !state.counts_inode {
            area.take_inode()?;
            state.counts_inode = true;
        }
        state.changed = true;
        Ok(())
    }
}

/// What shows of the lower file; zeros behind its end.
fn read_base(base: Option<&mut Base>, at: u64, into: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    if let Some(base) = base {
        let shown = base.valid.saturating_sub(at).min(into.len() as u64) as usize;
        if shown > 0 {
            let fd = base.fd()?;
            while done < shown {
                match rustix::io::pread(&*fd, &mut into[done..shown], at + done as u64)? {
                    0 => break,
                    n => done += n,
                }
            }
        }
    }
    into[done..].fill(0);
    Ok(())
}

impl Drop for File {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(area) = &self.area {
            let _ = area.resize(state.charged, 0);
            if state.counts_inode {
                area.give_inode();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::clock::Clock;

    fn written(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.size() as usize + 1];
        let n = file.read_at(0, &mut bytes).unwrap();
        bytes.truncate(n);
        bytes
    }

    fn over(content: &[u8], area: &Area) -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), content).unwrap();
        let lower = Arc::new(Lower::open(dir.path()).unwrap());
        let found = lower.stat(b"f").unwrap();
        let file = File::lower(&found, lower, b"f".to_vec(), Some(area.clone()));
        (dir, file)
    }

    #[test]
    fn reads_and_writes_agree_with_a_plain_vector() {
        let area = Area::new(16 << 20, 100, Clock::default());
        let original: Vec<u8> = (0..300_000u32).map(|n| (n % 253) as u8).collect();
        let (dir, file) = over(&original, &area);
        let mut model = original.clone();
        let mut random = 11u64;
        let mut below = |n: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % n
        };
        for step in 0..300 {
            match below(10) {
                0 => {
                    let length = below(400_000);
                    file.set_len(length).unwrap();
                    model.resize(length as usize, 0);
                }
                1..=6 => {
                    let (at, bytes) = (below(400_000), vec![step as u8; below(70_000) as usize]);
                    assert_eq!(file.write_at(at, &bytes), Ok(bytes.len()));
                    if !bytes.is_empty() {
                        model.resize(model.len().max(at as usize + bytes.len()), 0);
                        model[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                7 => {
                    file.append(b"end").unwrap();
                    model.extend(b"end");
                }
                _ => assert!(written(&file) == model, "step {step}"),
            }
        }
        assert!(written(&file) == model);
        assert!(std::fs::read(dir.path().join("f")).unwrap() == original);
        drop(file);
        assert_eq!(area.usage().map(|(_, used)| used), [0, 0]);
    }

    #[test]
    fn a_full_area_says_so_and_frees_what_goes() {
        let area = Area::new(1 << 20, 2, Clock::default());
        let file = File::new(Meta::new(1, 0o644, SystemTime::now()), area.clone()).unwrap();
        assert_eq!(file.write_at(0, &vec![1; 2 << 20]), Ok(1 << 20));
        assert_eq!(file.write_at(1 << 20, b"x"), Err(Errno::FBIG));
        let other = File::new(Meta::new(2, 0o644, SystemTime::now()), area.clone()).unwrap();
        assert_eq!(other.write_at(0, b"x"), Err(Errno::NOSPC));
        assert_eq!(File::new(Meta::new(3, 0o644, SystemTime::now()), area.clone()).err(), Some(Errno::NOSPC));
        drop(file);
        assert_eq!(other.write_at(0, b"x"), Ok(1));
    }

    #[test]
    fn a_hole_costs_nothing() {
        let area = Area::new(1 << 30, 2, Clock::default());
        let file = File::new(Meta::new(1, 0o644, SystemTime::now()), area.clone()).unwrap();
        file.set_len(1 << 29).unwrap();
        assert_eq!(area.usage()[0].1, 0);
        assert_eq!(file.size(), 1 << 29);
    }
}
