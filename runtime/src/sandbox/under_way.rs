//! How busy this program is with its sandboxes.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An opening or an action of this program that has not ended.
pub(super) struct UnderWay;

impl UnderWay {
    pub(super) fn begin() -> UnderWay {
        COUNT.fetch_add(1, Ordering::Relaxed);
        UnderWay
    }

    pub(super) fn is_alone(&self) -> bool {
        COUNT.load(Ordering::Relaxed) == 1
    }

    /// Whether each that is under way may take a second processor.
    pub(super) fn leaves_a_processor(&self) -> bool {
        COUNT.load(Ordering::Relaxed) * 2 <= processors()
    }
}

/// How many processors this program may use.
pub(super) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    // Asking takes several system calls.
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}
