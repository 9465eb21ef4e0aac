//! What a shell's variables and expansions take of the action's memory.

use crate::engine::budget::Budget;
use std::sync::Arc;

/// Bytes that are taken from the budget at a time.
const CHUNK: u64 = 1 << 20;

/// An account of one shell with the action's budget; what it took goes back when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Account(Arc<Held>);

#[derive(Debug)]
struct Held {
    budget: Budget,
    taken: std::sync::atomic::AtomicU64,
    used: std::sync::atomic::AtomicI64,
}

use std::sync::atomic::Ordering::Relaxed;

impl Account {
    /// An account that has taken nothing yet.
    pub(crate) fn new(budget: &Budget) -> Account {
        Account(Arc::new(Held {
            budget: budget.clone(),
            taken: Default::default(),
            used: Default::default(),
        }))
    }

    /// The account of a subshell.
    pub(crate) fn fork(&self) -> Account {
        Account::new(&self.0.budget)
    }

    /// Changes what is used by this many bytes; false when there is not so much.
    #[must_use]
    pub(crate) fn change(&self, bytes: i64) -> bool {
        let used = self.0.used.fetch_add(bytes, Relaxed).saturating_add(bytes).max(0).unsigned_abs();
        let taken = self.0.taken.load(Relaxed);
        if used <= taken {
            return true;
        }
        let more = (used - taken).div_ceil(CHUNK) * CHUNK;
        if !self.0.budget.take(more) {
            self.0.used.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.0.taken.fetch_add(more, Relaxed);
        true
    }

    /// Whether so many bytes could be had just now.
    #[must_use]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        if bytes < CHUNK {
            return true;
        }
        let fits = self.0.budget.take(bytes);
        if fits {
            self.0.budget.give(bytes);
        }
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give(self.taken.load(Relaxed));
    }
}
