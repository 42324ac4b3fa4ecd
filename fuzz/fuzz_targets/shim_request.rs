//! Hands libFuzzer's bytes to the target `shim_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("shim_request", bytes));
