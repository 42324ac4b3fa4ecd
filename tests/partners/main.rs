//! Real callers: dockerd, containerd and podman, each with the reference and with ours as its runtime.
//!
//! Starting a daemon costs seconds, so each test is a flat script of named steps.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod containerd;
mod docker;
mod podman;
