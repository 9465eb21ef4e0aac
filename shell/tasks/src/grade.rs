//! Whether a patch resolves an instance, by the tests.

use crate::log::{Status, Statuses};
use sbx_records::Instance;
use serde::Serialize;

/// What the tests say of a patch, in SWE-bench's form.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The instance.
    pub instance_id: String,
    /// Whether every FAIL_TO_PASS and every PASS_TO_PASS test passed.
    pub resolved: bool,
    /// How far it came.
    pub resolution: Resolution,
    /// The tests by list and result.
    pub tests_status: TestsStatus,
}

/// How far a patch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Resolution {
    /// All tests of both lists passed.
    Full,
    /// Some of FAIL_TO_PASS passed, and all of PASS_TO_PASS.
    Partial,
    /// Anything less.
    No,
}

/// The tests of an instance by list and result.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct TestsStatus {
    /// Tests that the fix must turn.
    pub fail_to_pass: Grade,
    /// Tests that it must not break.
    pub pass_to_pass: Grade,
}

/// Tests of one list by result.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grade {
    /// Those that passed.
    pub success: Vec<String>,
    /// Those that failed, were skipped, or are not in the log.
    pub failure: Vec<String>,
}

impl Grade {
    fn of(tests: &[String], statuses: &Statuses) -> Grade {
        let passed = |name: &&String| statuses.get(*name) == Some(&Status::Passed);
        let (success, failure) = tests.iter().partition::<Vec<&String>, _>(passed);
        Grade {
            success: success.into_iter().cloned().collect(),
            failure: failure.into_iter().cloned().collect(),
        }
    }

    fn share(&self) -> f64 {
        let all = self.success.len() + self.failure.len();
        if all == 0 { 1.0 } else { self.success.len() as f64 / all as f64 }
    }
}

/// Judges an instance by the tests of a log. An instance without FAIL_TO_PASS tests cannot be resolved: nothing would
/// show it.
pub fn grade(instance: &Instance, statuses: &Statuses) -> Report {
    let fail_to_pass = Grade::of(&instance.fail_to_pass, statuses);
    let pass_to_pass = Grade::of(&instance.pass_to_pass, statuses);
    let (turned, kept) = (fail_to_pass.share(), pass_to_pass.share());
    let resolution = if instance.fail_to_pass.is_empty() || kept < 1.0 || turned == 0.0 {
        Resolution::No
    } else if turned < 1.0 {
        Resolution::Partial
    } else {
        Resolution::Full
    };
    Report {
        instance_id: instance.instance_id.clone(),
        resolved: resolution == Resolution::Full,
        resolution,
        tests_status: TestsStatus { fail_to_pass, pass_to_pass },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(log: &[(&str, Status)]) -> Report {
        let row = r#"{"instance_id":"i","repo":"r","base_commit":"c","problem_statement":"p","FAIL_TO_PASS":["a","b"],"PASS_TO_PASS":["c"]}"#;
        let instance = sbx_records::read_instances(row.as_bytes(), "t").unwrap().remove(0);
        grade(&instance, &log.iter().map(|(n, s)| ((*n).to_string(), *s)).collect())
    }

    #[test]
    fn resolved_means_all_tests_of_both_lists() {
        use Status::{Failed, Passed, Skipped};
        for (log, expected) in [
            (vec![("a", Passed), ("b", Passed), ("c", Passed)], Resolution::Full),
            (vec![("a", Passed), ("b", Failed), ("c", Passed)], Resolution::Partial),
            (vec![("a", Passed), ("b", Passed), ("c", Failed)], Resolution::No),
            (vec![("a", Passed), ("b", Passed)], Resolution::No),
            (vec![("a", Skipped), ("b", Passed), ("c", Passed)], Resolution::Partial),
            (vec![], Resolution::No),
        ] {
            let report = report(&log);
            assert_eq!(
                (report.resolution, report.resolved),
                (expected, expected == Resolution::Full),
                "{log:?}"
            );
        }
    }
}
