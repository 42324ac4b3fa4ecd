//! Hands libFuzzer's bytes to the target `sock_diag`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("sock_diag", bytes));
