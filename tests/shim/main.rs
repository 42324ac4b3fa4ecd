//! The shim: every RPC and every trap of the protocol, driven through its socket and through real callers.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod crash;
mod ctr;
mod delete;
mod observe;
mod oom;
mod program;
mod stats;
mod tree;
mod wrapper;
