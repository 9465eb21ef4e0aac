//! A policy file: any text is a policy or an error with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sbx_runtime::Policy;

fuzz_target!(|text: &str| {
    match Policy::parse(text, "p.toml") {
        Ok(policy) => assert_eq!(policy.sha256().len(), 64),
        Err(e) => assert!(e.to_string().contains("p.toml"), "{e}"),
    }
});
