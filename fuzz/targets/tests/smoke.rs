//! Runs every fuzz target over its seeds and over mutations of them, the same ones each time.
//!
//! This finds what a fuzzer finds in its first second, on the stable compiler and without any tool. `fuzz/README.md`
//! says how to run the real fuzzer.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::Path;

/// Mutations of each seed.
const ROUNDS: usize = 400;
/// What parsers stumble over.
const TOKENS: &[&str] = &[
    "\0",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "max",
    "\n",
    " ",
    "../",
    "\\040",
    "\u{feff}",
    "é",
];

/// A small generator of numbers: xorshift64*. Speed and sameness matter, quality does not.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    let end = at + numbers.below(bytes.len() - at + 1).min(64);
    match numbers.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => {
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        4 => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap()),
        _ => drop(bytes.splice(at..end, TOKENS[numbers.below(TOKENS.len())].bytes())),
    }
}

fn smoke(name: &str) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut numbers = Numbers(0x5eed);
    for seed in &seeds {
        targets::run(name, seed);
        for _ in 0..ROUNDS {
            let mut bytes = seed.clone();
            for _ in 0..=numbers.below(4) {
                mutate(&mut bytes, &mut numbers);
            }
            targets::run(name, &bytes);
        }
    }
}

/// One test per target, so that a failure names it.
macro_rules! smoke_tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test() {
            let names: Vec<&str> = targets::ALL.iter().map(|row| row.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

smoke_tests! { cgroup config explain goroutines identity listing mountinfo proc_text process saved_snapshot seccomp_filter seccomp_profile shim_request sock_diag state stream_address }
