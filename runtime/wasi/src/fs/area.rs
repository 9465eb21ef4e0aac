//! A writable area, bounded in bytes and in files, as a size-limited tmpfs is.

use super::clock::Clock;
use rustix::io::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::SystemTime;

/// What a file takes of an area besides its content's pages, as on a tmpfs: nothing; contents are counted in these.
pub(super) const PAGE: u64 = 4096;

/// Room for the agent's files.
#[derive(Clone, Debug)]
pub(super) struct Area(Arc<Room>);

#[derive(Debug)]
struct Room {
    bytes: u64,
    inodes: u64,
    /// Largest size of one file.
    longest: u64,
    used_bytes: AtomicU64,
    used_inodes: AtomicU64,
    fired: AtomicBool,
    clock: Clock,
}

impl Area {
    /// An area for `bytes` and `inodes`, whose files have their times from this clock.
    pub(super) fn new(bytes: u64, inodes: u64, clock: Clock) -> Area {
        Area(Arc::new(Room {
            bytes,
            inodes,
            longest: bytes,
            used_bytes: AtomicU64::new(0),
            used_inodes: AtomicU64::new(0),
            fired: AtomicBool::new(false),
            clock,
        }))
    }

    /// Changes how many bytes something takes. `ENOSPC` when there is no room.
    pub(super) fn resize(&self, from: u64, to: u64) -> Result<(), Errno> {
        if to <= from {
            self.0.used_bytes.fetch_sub(from - to, SeqCst);
            return Ok(());
        }
        self.add(&self.0.used_bytes, to - from, self.0.bytes)
    }

    /// What time it is there.
    pub(super) fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    pub(super) fn take_inode(&self) -> Result<(), Errno> {
        self.add(&self.0.used_inodes, 1, self.0.inodes)
    }

    pub(super) fn give_inode(&self) {
        self.0.used_inodes.fetch_sub(1, SeqCst);
    }

    fn add(&self, counter: &AtomicU64, more: u64, most: u64) -> Result<(), Errno> {
        let added = counter
            .fetch_update(SeqCst, Relaxed, |used| used.checked_add(more).filter(|sum| *sum <= most))
            .map(drop);
        added.map_err(|_| {
            self.fire();
            Errno::NOSPC
        })
    }

    /// It was too small for something.
    pub(super) fn fire(&self) {
        self.0.fired.store(true, Relaxed);
    }

    /// Largest size that a file may have, in bytes.
    pub(super) fn longest(&self) -> u64 {
        self.0.longest
    }

    /// Whether it was too small for something.
    pub(super) fn fired(&self) -> bool {
        self.0.fired.load(Relaxed)
    }

    /// Bytes and files: room and used.
    pub(super) fn usage(&self) -> [(u64, u64); 2] {
        let room = &self.0;
        [(room.bytes, room.used_bytes.load(Relaxed)), (room.inodes, room.used_inodes.load(Relaxed))]
    }
}

impl Area {
    /// Whether both are one.
    pub(super) fn is_same(&self, other: &Area) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
