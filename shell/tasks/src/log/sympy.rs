//! sympy's own runner, `bin/test --verbose`: `test_name ok`, and a heading for each failure.

use super::{Status, Statuses};

pub(super) fn read(log: &str) -> Statuses {
    let mut found = Statuses::new();
    for line in log.lines().map(str::trim) {
        // `____ sympy/core/tests/test_args.py:test_all ____`
        let heading = line.strip_prefix('_').map(|rest| rest.trim_matches('_').trim());
        if let Some(name) = heading.filter(|name| name.contains(".py:")) {
            found.insert(name.to_string(), Status::Failed);
            continue;
        }
        let (Some(name), Some(end)) = (line.split_whitespace().next(), line.split_whitespace().last()) else {
            continue;
        };
        let status = match end {
            "ok" | "f" => Status::Passed,
            "F" | "E" => Status::Failed,
            "s" => Status::Skipped,
            _ => continue,
        };
        if name.starts_with("test_") {
            found.insert(name.to_string(), status);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_by_name_and_failures_by_place_too() {
        let found = read(
            "sympy/core/tests/test_args.py[3]\ntest_a ok\ntest_b F\ntest_c Slow s\ntest_d E [FAIL]\ntest_d E\n\n\
             ________ sympy/core/tests/test_args.py:test_b ________\n",
        );
        assert_eq!(
            (found["test_a"], found["test_b"], found["test_c"], found["test_d"]),
            (Status::Passed, Status::Failed, Status::Skipped, Status::Failed)
        );
        assert_eq!(found["sympy/core/tests/test_args.py:test_b"], Status::Failed);
        assert_eq!(found.len(), 5);
    }
}
