//! Readers of test logs: one file a runner, and this table.

mod cargo;
mod django;
mod go;
mod pytest;
mod sympy;

use std::collections::BTreeMap;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It passed, or failed as expected.
    Passed,
    /// It failed, or could not be run.
    Failed,
    /// It was not run.
    Skipped,
}

/// Tests by name. Of several lines for one test the last counts.
pub type Statuses = BTreeMap<String, Status>;

/// A reader of one runner's log.
pub type Reader = fn(&str) -> Statuses;

/// Every reader, by name.
pub const READERS: [(&str, Reader); 5] = [
    ("cargo", cargo::read),
    ("django", django::read),
    ("go", go::read),
    ("pytest", pytest::read),
    ("sympy", sympy::read),
];

/// Returns the reader of a name.
pub fn by_name(name: &str) -> Option<Reader> {
    READERS.iter().find(|(n, _)| *n == name).map(|(_, reader)| *reader)
}

/// The part of a log between the markers `>>>>> Start Test Output` and `>>>>> End Test Output` of SWE-bench's scripts;
/// all of it when they are not there.
pub fn test_output(log: &str) -> &str {
    let after = log.split_once(">>>>> Start Test Output").map_or(log, |(_, rest)| rest);
    after.rsplit_once(">>>>> End Test Output").map_or(after, |(part, _)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_have_names_of_their_own() {
        assert!(READERS.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn only_what_lies_between_the_markers_counts() {
        assert_eq!(
            test_output("a\n+ : '>>>>> Start Test Output'\nb\n+ : '>>>>> End Test Output'\nc"),
            "'\nb\n+ : '"
        );
        assert_eq!(test_output("a"), "a");
    }
}
