//! The calls that are under way.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most calls at a time; others wait for their turn.
const MOST: u32 = 32;

/// A turn for each call. Those that may change files have theirs one after the other: none loses what another did.
#[derive(Clone)]
pub struct Calls {
    all: Arc<Semaphore>,
    writing: Arc<Semaphore>,
}

/// What a call holds until it is over.
pub struct Turn {
    _one: OwnedSemaphorePermit,
    _writing: Option<OwnedSemaphorePermit>,
}

impl Calls {
    pub fn new() -> Calls {
        Calls { all: Arc::new(Semaphore::new(MOST as usize)), writing: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for a turn, in the order of asking.
    pub async fn begin(&self, writes: bool) -> Option<Turn> {
        let writing = if writes { Some(Arc::clone(&self.writing).acquire_owned().await.ok()?) } else { None };
        Some(Turn { _one: Arc::clone(&self.all).acquire_owned().await.ok()?, _writing: writing })
    }

    /// Waits until all have ended; none begins any more.
    pub async fn all_ended(&self) {
        self.writing.close();
        let _ = self.all.acquire_many(MOST).await;
        self.all.close();
    }
}
