//! Hands libFuzzer's bytes to the target `listing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("listing", bytes));
