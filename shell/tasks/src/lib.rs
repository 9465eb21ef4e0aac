//! Tasks: what a test log says of a patch.
//!
//! `test log ─▶ statuses ─▶ report`
//!
//! This crate runs no tests: it reads what a test run printed. FAIL_TO_PASS and PASS_TO_PASS are an instance's; what
//! counts as resolved is SWE-bench's rule.
#![forbid(unsafe_code)]

mod grade;
pub mod log;

pub use grade::{Grade, Report, Resolution, TestsStatus, grade};
pub use log::{Status, Statuses};
