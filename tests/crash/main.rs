//! Crash injection: the runtime is killed, starved, raced and lied to; the state stays readable and `delete --force`
//! leaves nothing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a panic is a failed assertion; counts are printed"
)]

mod kill_points;
mod leftovers;
mod scenario;
mod tracer;
