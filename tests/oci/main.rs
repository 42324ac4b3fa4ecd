//! Conformance cases: one file per verb or part of `config.json`; each runs against the reference and against ours.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod exec;
