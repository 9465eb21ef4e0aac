//! `cargo test`: `test module::name ... ok`.

use super::{Status, Statuses};

pub(super) fn read(log: &str) -> Statuses {
    let mut found = Statuses::new();
    for line in log.lines() {
        let Some((name, end)) = line.trim().strip_prefix("test ").and_then(|l| l.rsplit_once(" ... ")) else {
            continue;
        };
        let status = match end.split([' ', ',', '<']).next().unwrap_or(end) {
            "ok" => Status::Passed,
            "FAILED" => Status::Failed,
            "ignored" => Status::Skipped,
            _ => continue,
        };
        found.insert(name.trim_end_matches(" - should panic").to_string(), status);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_the_summary_is_not() {
        let found = read(
            "test a::b ... ok\ntest c - should panic ... ok\ntest d ... FAILED\ntest e ... ignored, slow\ntest result: ok. 1 passed\n",
        );
        assert_eq!(
            (found["a::b"], found["c"], found["d"], found["e"]),
            (Status::Passed, Status::Passed, Status::Failed, Status::Skipped)
        );
        assert_eq!(found.len(), 4);
    }
}
