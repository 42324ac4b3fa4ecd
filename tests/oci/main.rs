//! Conformance cases: one file per verb or part of `config.json`; each runs against the reference and against ours.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod console;
mod create;
mod delete;
mod devices;
mod events;
mod exec;
mod hooks;
mod inside;
mod kill;
mod leader_gone;
mod list;
mod log;
mod mounts;
mod namespaces;
mod notify_socket;
mod own_binary;
mod pause;
mod preserve_fds;
mod process;
mod ps;
mod replaced_binary;
mod run;
mod seccomp;
mod start;
mod state;
mod update;
