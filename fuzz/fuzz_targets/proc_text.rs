//! Hands libFuzzer's bytes to the target `proc_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("proc_text", bytes));
