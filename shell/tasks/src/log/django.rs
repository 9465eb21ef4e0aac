//! Django's runner and Python's unittest: `test_name (module.Class) ... ok`.

use super::{Status, Statuses};

pub(super) fn read(log: &str) -> Statuses {
    let mut found = Statuses::new();
    let mut previous = "";
    for line in log.lines() {
        let line = line.trim();
        if let Some((name, end)) = line.rsplit_once(" ... ") {
            if let Some(status) = status(end) {
                // With a docstring the name stands on the line before.
                let name = if name.contains('(') || !previous.contains('(') { name } else { previous };
                found.insert(name.trim().to_string(), status);
            }
        } else if let Some((kind, name)) = line.split_once(": ")
            && matches!(kind, "FAIL" | "ERROR")
        {
            found.insert(name.trim().to_string(), Status::Failed);
        }
        previous = line;
    }
    found
}

fn status(end: &str) -> Option<Status> {
    match end {
        "ok" | "OK" | "expected failure" => Some(Status::Passed),
        "FAIL" | "ERROR" => Some(Status::Failed),
        end if end.starts_with("skipped") => Some(Status::Skipped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_docstrings_are_read() {
        let found = read(
            "test_a (m.C) ... ok\ntest_b (m.C)\nDoes b. ... FAIL\ntest_c (m.C) ... skipped 'no'\nERROR: test_d (m.C)\n",
        );
        assert_eq!(found["test_a (m.C)"], Status::Passed);
        assert_eq!(found["test_b (m.C)"], Status::Failed);
        assert_eq!(found["test_c (m.C)"], Status::Skipped);
        assert_eq!(found["test_d (m.C)"], Status::Failed);
    }
}
