//! The shim: every RPC and every trap of the protocol, driven through its socket and through real callers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed assertion")]

mod bootstrap;
mod connections;
mod crash;
mod ctr;
mod delete;
mod observe;
mod oom;
mod order;
mod program;
mod questions;
mod rootfs;
mod session;
mod states;
mod stats;
mod surroundings;
mod tree;
mod wrapper;
