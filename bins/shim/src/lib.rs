//! `containerd-shim-sluice-v2`: holds the containers of one pod and starts their execs itself.
//!
//! **Invariant:** the control thread answers questions and moves bytes; whatever can sleep in the kernel on a container's
//! account runs on a worker or in a short-lived child. No lock is held across a wait.

pub mod accept;
pub mod account;
pub mod argv;
pub mod attend;
pub mod bootstrap;
pub mod cleanup;
pub mod counters;
pub mod daemon;
pub mod dump;
pub mod events;
pub mod failure;
mod freezer;
pub mod info;
pub mod io;
pub mod journal;
pub mod log;
pub mod oom;
pub mod oom_watch;
pub mod operations;
pub mod options;
pub mod pod;
pub mod process;
pub mod reap;
pub mod refused;
pub mod replace;
pub mod rootfs;
mod rpc;
pub mod service;
pub mod socket;
pub mod start;
pub mod stats;
pub mod stuck;
pub mod task;
pub mod tree;
pub mod undead;
pub mod verb;
pub mod watched;
pub mod wire;
pub mod workers;
pub mod wrapper;
