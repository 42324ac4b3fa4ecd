//! Everything that reads bytes from outside, each as a function of bytes that panics when a promise is broken.
//!
//! `fuzz/fuzz_targets` hands these to libFuzzer; `tests/smoke.rs` runs them on every `make test`, over the seeds and
//! over mutations of them.

mod cgroup;
mod config;
mod explain;
mod goroutines;
mod identity;
mod listing;
mod mountinfo;
mod proc_text;
mod process;
mod saved_snapshot;
mod seccomp_filter;
mod seccomp_profile;
mod shim_request;
mod sock_diag;
mod state;
mod stream_address;

/// What a target does with its bytes. It panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target: its name, which is also the folder of its seeds, and what it does.
pub const ALL: &[(&str, Target)] = &[
    ("cgroup", cgroup::run),
    ("config", config::run),
    ("explain", explain::run),
    ("goroutines", goroutines::run),
    ("identity", identity::run),
    ("listing", listing::run),
    ("mountinfo", mountinfo::run),
    ("proc_text", proc_text::run),
    ("process", process::run),
    ("saved_snapshot", saved_snapshot::run),
    ("seccomp_filter", seccomp_filter::run),
    ("seccomp_profile", seccomp_profile::run),
    ("shim_request", shim_request::run),
    ("sock_diag", sock_diag::run),
    ("state", state::run),
    ("stream_address", stream_address::run),
];

/// Runs a target by its name, as the fuzzers do.
///
/// # Panics
/// When there is no such target, and as the target does.
#[expect(clippy::panic, reason = "a fuzz target speaks by panicking")]
pub fn run(name: &str, bytes: &[u8]) {
    let Some((_, target)) = ALL.iter().find(|row| row.0 == name) else {
        panic!("no target {name}");
    };
    target(bytes);
}
