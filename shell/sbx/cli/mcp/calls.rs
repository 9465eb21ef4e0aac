//! The calls that are under way.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most calls at a time; others wait for their turn.
const MOST: u32 = 32;

/// A turn for each call.
#[derive(Clone)]
pub struct Calls(Arc<Semaphore>);

impl Calls {
    pub fn new() -> Calls {
        Calls(Arc::new(Semaphore::new(MOST as usize)))
    }

    /// Begins one, which ends when what is returned is dropped.
    pub async fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }

    /// Waits until all have ended.
    pub async fn all_ended(&self) {
        let _ = self.0.acquire_many(MOST).await;
    }
}
