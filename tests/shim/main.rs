//! The shim: every RPC and every trap of the protocol, driven through its socket and through real callers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a panic is a failed assertion; a count is told aloud"
)]

mod abandoned;
mod bootstrap;
mod connections;
mod crash;
mod cri;
mod ctr;
mod delete;
mod disk;
mod docker_streams;
mod info;
mod io;
mod kills;
mod kubelet;
mod logger;
mod observe;
mod oom;
mod order;
mod owners;
mod program;
mod questions;
mod rootfs;
mod session;
mod soak;
mod stalls;
mod states;
mod stats;
mod surroundings;
mod terminal;
mod traps;
mod tree;
mod wrapper;
