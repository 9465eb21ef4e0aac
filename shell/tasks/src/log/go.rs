//! `go test -v`: `--- PASS: TestName (0.00s)`.

use super::{Status, Statuses};

pub(super) fn read(log: &str) -> Statuses {
    let mut found = Statuses::new();
    for line in log.lines() {
        let Some((kind, rest)) = line.trim().strip_prefix("--- ").and_then(|l| l.split_once(": ")) else {
            continue;
        };
        let status = match kind {
            "PASS" => Status::Passed,
            "FAIL" => Status::Failed,
            "SKIP" => Status::Skipped,
            _ => continue,
        };
        found.insert(rest.split(" (").next().unwrap_or(rest).to_string(), status);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtests_are_read_by_their_full_name() {
        let found =
            read("=== RUN TestA\n--- FAIL: TestA (0.01s)\n    --- PASS: TestA/sub (0.00s)\nok pkg 0.1s\n");
        assert_eq!((found["TestA"], found["TestA/sub"], found.len()), (Status::Failed, Status::Passed, 2));
    }
}
