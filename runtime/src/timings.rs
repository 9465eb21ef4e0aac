//! Where the time of a sandbox goes, phase by phase.

use std::time::{Duration, Instant};

/// Phases in order, each with its wall time.
#[derive(Clone, Debug)]
pub struct Timings {
    phases: Vec<(&'static str, Duration)>,
    last: Instant,
}

impl Timings {
    /// Starts the first phase now.
    pub fn start() -> Timings {
        Timings { phases: Vec::new(), last: Instant::now() }
    }

    /// Ends a phase; the next one begins.
    pub fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.phases.push((phase, now - self.last));
        self.last = now;
    }

    /// Phases in order, each with its wall time.
    pub fn phases(&self) -> &[(&'static str, Duration)] {
        &self.phases
    }
}
