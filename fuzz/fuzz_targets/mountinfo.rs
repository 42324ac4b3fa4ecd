//! Hands libFuzzer's bytes to the target `mountinfo`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("mountinfo", bytes));
