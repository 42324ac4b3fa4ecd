//! Conformance cases: one file per verb or part of `config.json`; each runs against the reference and against ours.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed assertion")]

mod create;
mod delete;
mod events;
mod exec;
mod kill;
mod list;
mod log;
mod pause;
mod ps;
mod start;
mod state;
mod update;
