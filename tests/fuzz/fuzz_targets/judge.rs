//! A script: reading it ends, and what is refused does not depend on text in quotes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sbx_bash::{Verdict, judge, outside};
use sbx_runtime::Policy;
use std::sync::LazyLock;

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::preset("whitelist").expect("a preset"));

fuzz_target!(|script: &str| {
    judge(&POLICY, script);
    outside(&POLICY, script);
    let quoted = script.replace('\'', "");
    assert!(matches!(judge(&POLICY, &format!("echo '{quoted}'; ls")), Verdict::Allowed));
    assert!(matches!(judge(&POLICY, &format!("echo '{quoted}'; git push")), Verdict::Refused { .. }));
});
