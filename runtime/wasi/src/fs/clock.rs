//! What time it is in a sandbox: the host's, or one that begins where the workspace's own time ends.

use std::time::{Duration, Instant, SystemTime};

/// A clock of the day. Clones show the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock(Option<(SystemTime, Instant)>);

impl Clock {
    /// A clock that shows this now, in whole seconds, and goes on.
    pub(super) fn from(begin: SystemTime) -> Clock {
        let whole = begin.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() + 1);
        Clock(Some((SystemTime::UNIX_EPOCH + Duration::from_secs(whole), Instant::now())))
    }

    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some((begin, started)) => *begin + started.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_its_own_begins_where_it_is_told_and_goes_on() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500_000_000_250);
        let clock = Clock::from(begin);
        let (first, second) = (clock.now(), clock.now());
        assert!(first > begin && first <= second && second < SystemTime::now());
        assert!(Clock::default().now() <= SystemTime::now());
    }
}
