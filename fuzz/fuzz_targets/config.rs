//! Hands libFuzzer's bytes to the target `config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("config", bytes));
