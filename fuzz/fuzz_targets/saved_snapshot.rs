//! Hands libFuzzer's bytes to the target `saved_snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("saved_snapshot", bytes));
