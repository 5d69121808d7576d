#![no_main]

#[path = "../connections.rs"]
mod connections;

libfuzzer_sys::fuzz_target!(|input: &[u8]| connections::guard(input));
