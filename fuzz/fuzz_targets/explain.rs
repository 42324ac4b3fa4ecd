//! Hands libFuzzer's bytes to the target `explain`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("explain", bytes));
