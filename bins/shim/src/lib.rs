//! `containerd-shim-sluice-v2`: holds the containers of one pod and starts their execs itself.
//!
//! **Invariant:** the control thread answers questions and moves bytes; whatever can sleep in the kernel on a container's
//! account runs on a worker or in a short-lived child. No lock is held across a wait.

pub mod argv;
pub mod counters;
pub mod dump;
pub mod journal;
pub mod oom;
pub mod replace;
pub mod stats;
pub mod stuck;
pub mod tree;
pub mod wrapper;
