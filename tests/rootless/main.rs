//! Callers who are not root, and the profiles of `AppArmor`: a host whose first process is systemd is needed.
//! On another one, and without `AppArmor` in the kernel, a case says that it was not run, and passes.
//!
//! The tests run as root and become the user, so that whoever runs them needs nothing special.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod apparmor;
mod cgroup;
mod id_map;
mod life;
mod podman;
mod refusals;
mod systemd;
mod user;
