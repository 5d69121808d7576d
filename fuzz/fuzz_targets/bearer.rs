#![no_main]

// Each target calls one of them.
#[allow(dead_code)]
#[path = "../request_targets.rs"]
mod request_targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| request_targets::bearer(input));
