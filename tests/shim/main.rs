//! The shim: every RPC and every trap of the protocol, driven through its socket and through real callers.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod ctr;
mod docker_streams;
mod io;
mod logger;
mod program;
mod terminal;
