//! Hands libFuzzer's bytes to the target `state`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("state", bytes));
