//! Hang guards: the only place where a test waits for time to pass.
//!
//! **Invariant**: a guard never decides a verdict by speed; it only turns a wait without end into a failure.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Environment variable with a whole number: how many times longer guards wait on a slow machine, such as an emulated one.
const PATIENCE: &str = "SLUICE_TEST_PATIENCE";

/// Longest wait for anything in a test; generous, because it only catches hangs.
///
/// One minute, times `SLUICE_TEST_PATIENCE` where that is set.
pub static GUARD: LazyLock<Duration> = LazyLock::new(|| Duration::from_mins(1) * patience());

/// How many times slower than usual this machine is: `SLUICE_TEST_PATIENCE`, else 1. A test without a fixed count may do so
/// much less.
///
/// # Panics
/// When the variable is no whole number above 0.
pub fn patience() -> u32 {
    let Some(value) = std::env::var_os(PATIENCE) else { return 1 };
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{PATIENCE} is {}, not a whole number above 0", value.display()))
}

/// Polls `condition` until it is true.
///
/// # Panics
/// When the condition is still false after [`static@GUARD`]; the message names `what` was awaited.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Polls `attempt` until it yields a value.
///
/// # Panics
/// When there is no value after [`static@GUARD`]; the message names `what` was awaited.
#[track_caller]
pub fn eventually_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < *GUARD, "hang guard: still waiting after {:?} for: {what}", *GUARD);
        crate::process::reap_orphans();
        std::thread::sleep(Duration::from_millis(5));
    }
}
