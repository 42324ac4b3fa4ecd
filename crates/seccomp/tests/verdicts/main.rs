//! What compiled filters answer: compared with a naive reading of the profile, and with libseccomp.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by a panic and skips aloud"
)]

mod differential;
mod fragile;
mod operators;
mod oracle;
mod probes;
mod properties;
mod refusals;
mod runc;
mod size;
mod soundness;
mod strategies;

use seccomp::Profile;

/// What dockerd 20.10 writes into config.json on x86_64, without further options.
const DOCKER_DEFAULT: &str = include_str!("../data/docker-default.json");
/// The same with `--cap-add ALL`.
const DOCKER_ALL_CAPABILITIES: &str = include_str!("../data/docker-all-capabilities.json");
/// What podman 4.3 writes into config.json on x86_64, without further options.
const PODMAN_DEFAULT: &str = include_str!("../data/podman-default.json");

fn profile(json: &str) -> Profile {
    serde_json::from_str(json).expect("a profile")
}
