//! Hands libFuzzer's bytes to the target `process`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("process", bytes));
