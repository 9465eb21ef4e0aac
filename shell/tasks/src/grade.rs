//! Whether a patch resolves an instance, by the tests.

use crate::log::{Status, Statuses};
use sbx_records::Instance;
use serde::Serialize;

/// What the tests say of a patch, in SWE-bench's form.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The instance.
    pub instance_id: String,
    /// Whether every FAIL_TO_PASS test passed, and no PASS_TO_PASS test failed or is missing.
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
    /// Those that failed or are not in the log; of FAIL_TO_PASS also those that were skipped.
    pub failure: Vec<String>,
}

impl Grade {
    fn of(tests: &[String], statuses: &Statuses, enough: &[Status]) -> Grade {
        let is_enough = |name: &&String| status(name, statuses).is_some_and(|found| enough.contains(&found));
        let (success, failure) = tests.iter().partition::<Vec<&String>, _>(is_enough);
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

/// Looks a test up. The data sets cut some names in the midst of a parameter (`test_a[log(photon`): such a one stands for
/// the tests that begin with it, where they agree.
fn status(name: &str, statuses: &Statuses) -> Option<Status> {
    let is_cut = name.matches('[').count() > name.matches(']').count();
    if !is_cut || statuses.contains_key(name) {
        return statuses.get(name).copied();
    }
    let begun = statuses.range(name.to_string()..).take_while(|(full, _)| full.starts_with(name));
    let mut found = begun.map(|(_, status)| *status);
    let first = found.next()?;
    found.all(|status| status == first).then_some(first)
}

/// Judges an instance by the tests of a log. An instance without FAIL_TO_PASS tests cannot be resolved: nothing would
/// show it.
pub fn grade(instance: &Instance, statuses: &Statuses) -> Report {
    let fail_to_pass = Grade::of(&instance.fail_to_pass, statuses, &[Status::Passed]);
    // As SWE-bench: a test that is skipped now shows no fix, and is not broken either.
    let pass_to_pass = Grade::of(&instance.pass_to_pass, statuses, &[Status::Passed, Status::Skipped]);
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
            (vec![("a", Passed), ("b", Passed), ("c", Skipped)], Resolution::Full),
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
    #[test]
    fn a_name_that_was_cut_stands_for_the_tests_that_begin_with_it() {
        use Status::{Failed, Passed};
        let statuses =
            |second| Statuses::from([("t[a-1]".to_string(), Passed), ("t[a-2]".to_string(), second)]);
        assert_eq!(status("t[a", &statuses(Passed)), Some(Passed));
        assert_eq!(status("t[a", &statuses(Failed)), None);
        assert_eq!(status("t", &statuses(Passed)), None, "a whole name is looked for as it is");
    }
}
