//! Hands libFuzzer's bytes to the target `identity`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("identity", bytes));
