//! Hands libFuzzer's bytes to the target `stream_address`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("stream_address", bytes));
