//! Crash injection: the runtime is killed, starved, raced and lied to; the state stays readable and `delete --force`
//! leaves nothing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is a failed assertion; counts are printed; files are the test's own"
)]

mod damaged_state;
mod hooks;
mod identity;
mod kill_points;
mod leftovers;
mod races;
mod refused_writes;
mod scenario;
mod soak;
mod stubborn;
mod tracer;

use testkit::{Lab, Runtime};

/// A test that only ours can pass: no other runtime keeps its state so.
fn ours(body: impl FnOnce(&Lab)) {
    testkit::case::run(Runtime::Sluice, body);
}
