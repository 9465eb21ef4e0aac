//! pytest, both `-v` (`name STATUS`) and `-rA` (`STATUS name - reason`).

use super::{Status, Statuses};

pub(super) fn read(log: &str) -> Statuses {
    let mut found = Statuses::new();
    for line in log.lines() {
        let line = line.trim_end();
        let mut words = line.split_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        if let Some(status) = status(first) {
            // `-rA` gives the reason after " - "; a parameter may hold blanks, so the name is all before it.
            let rest = line.trim_start()[first.len()..].trim_start();
            let name = rest.split(" - ").next().unwrap_or(rest);
            if name.contains("::") || name.ends_with(".py") {
                found.insert(name.to_string(), status);
            }
        } else if first.contains("::")
            && let Some(status) = status(second)
        {
            found.insert(first.to_string(), status);
        }
    }
    found
}

fn status(word: &str) -> Option<Status> {
    match word {
        "PASSED" | "XFAIL" => Some(Status::Passed),
        "FAILED" | "ERROR" => Some(Status::Failed),
        "SKIPPED" => Some(Status::Skipped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let log = "tests/t.py::test_a PASSED   [ 50%]\ntests/t.py::test_b[x] FAILED [100%]\n\
                   PASSED tests/t.py::test_c\nFAILED tests/t.py::test_d - AssertionError: 1 - 2\nERROR tests/u.py\n\
                   SKIPPED [1] tests/t.py:3: no\nsome PASSED text\n";
        let found = read(log);
        let status = |name: &str| found.get(name).copied();
        assert_eq!(status("tests/t.py::test_a"), Some(Status::Passed));
        assert_eq!(status("tests/t.py::test_b[x]"), Some(Status::Failed));
        assert_eq!(status("tests/t.py::test_c"), Some(Status::Passed));
        assert_eq!(status("tests/t.py::test_d"), Some(Status::Failed));
        assert_eq!(status("tests/u.py"), Some(Status::Failed));
        assert_eq!(found.len(), 5);
    }
}
