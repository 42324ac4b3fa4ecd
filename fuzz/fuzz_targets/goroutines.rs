//! Hands libFuzzer's bytes to the target `goroutines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("goroutines", bytes));
