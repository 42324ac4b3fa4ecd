//! Test bench for container runtimes: bundles, guards, sockets and real partners.
//!
//! A test body gets a [`Lab`]: its own state root, cgroup parent and temporary directory. Whatever it starts is
//! killed and removed when the lab is dropped, also on panic; on success the lab first asserts that nothing leaked.
//!
//! **Invariant**: only processes, mounts and groups below the lab are touched; every wait has a hang guard.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "test library: a panic is a failed assertion, a skip is said aloud, files are our own"
)]

pub mod case;
pub mod cgroup_driver;
pub mod command;
pub mod compile;
pub mod config;
pub mod container;
pub mod containerd;
pub(crate) mod daemons;
pub mod disk;
pub mod docker;
pub mod docker_api;
pub mod doctor;
pub mod fd_socket;
pub mod freezer;
pub mod hang;
pub mod hierarchy;
pub mod lab;
pub mod memory;
pub mod notify;
pub mod old_kernel;
pub mod partner;
pub mod podman;
pub mod process;
pub mod pty;
pub mod rootfs;
pub mod runtime;
pub mod shim;
pub mod soak;
pub mod systemd;

pub use cgroup_driver::CgroupDriver;
pub use command::{Cmd, Output, Running};
pub use config::Config;
pub use container::Container;
pub use doctor::Doctor;
pub use lab::Lab;
pub use runtime::Runtime;
