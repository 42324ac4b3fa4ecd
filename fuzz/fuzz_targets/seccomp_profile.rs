//! Hands libFuzzer's bytes to the target `seccomp_profile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::run("seccomp_profile", bytes));
