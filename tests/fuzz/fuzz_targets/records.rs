//! Rows of tasks and recorded trajectories: each is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sbx_records::{read_instances, recording};

fuzz_target!(|bytes: &[u8]| {
    if let Err(e) = read_instances(bytes, "t.jsonl") {
        assert!(e.to_string().contains("t.jsonl"), "{e}");
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        let _ = recording(value, "t".into());
    }
});
