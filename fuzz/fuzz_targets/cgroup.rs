//! Hands libFuzzer's bytes to the target `cgroup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("cgroup", bytes));
