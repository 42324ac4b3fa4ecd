//! Hang guards: the only place where a test waits for time to pass.
//!
//! **Invariant**: a guard never decides a verdict by speed; it only turns a wait without end into a failure.

use std::time::{Duration, Instant};

/// Longest wait for anything in a test; generous, because it only catches hangs.
pub const GUARD: Duration = Duration::from_secs(60);

/// Polls `condition` until it is true.
///
/// # Panics
/// When the condition is still false after [`GUARD`]; the message names `what` was awaited.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Polls `attempt` until it yields a value.
///
/// # Panics
/// When there is no value after [`GUARD`]; the message names `what` was awaited.
#[track_caller]
pub fn eventually_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < GUARD, "hang guard: still waiting after {GUARD:?} for: {what}");
        crate::process::reap_orphans();
        std::thread::sleep(Duration::from_millis(5));
    }
}
