//! The crate against the real hierarchies of this machine. Needs root; every test has groups of its own below
//! `/sluice-test-PID-NAME`, removed by a guard also when the test panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "live/cost.rs"]
mod cost;
#[path = "live/devices.rs"]
mod devices;
#[path = "live/evidence.rs"]
mod evidence;
#[path = "live/fixture.rs"]
mod fixture;
#[path = "live/life.rs"]
mod life;
#[path = "live/limits.rs"]
mod limits;
#[path = "live/oom.rs"]
mod oom;
#[path = "live/stats.rs"]
mod stats;
