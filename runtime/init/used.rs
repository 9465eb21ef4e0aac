//! What processes have used.

use crate::sys::*;

/// Of one or more processes.
#[derive(Clone, Copy, Default)]
pub struct Used {
    /// Processor time in microseconds.
    pub micros: u64,
    /// The largest one's peak, in KiB.
    pub peak: u64,
}

impl Used {
    #[allow(dead_code, reason = "process 1 tells of its children")]
    pub const ITSELF: i32 = 0;
    /// Those that were reaped.
    pub const CHILDREN: i32 = -1;

    /// Of getrusage(2).
    pub fn by(who: i32) -> Used {
        let mut usage = [0u64; 18];
        syscall!(GETRUSAGE, who, usage.as_mut_ptr());
        let [user, user_micros, system, system_micros, peak, ..] = usage;
        Used { micros: (user + system) * 1_000_000 + user_micros + system_micros, peak }
    }

    pub fn and(self, other: Used) -> Used {
        Used { micros: self.micros.saturating_add(other.micros), peak: self.peak.max(other.peak) }
    }
}
