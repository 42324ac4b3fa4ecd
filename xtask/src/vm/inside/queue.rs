//! The tests that wait, handed out so that two of the same lane never run at the same time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::vm::plan::{self, Planned};

/// Tests for several workers.
pub(super) struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    waiting: Vec<&'a Planned>,
    running: Vec<&'a Planned>,
}

impl<'a> Queue<'a> {
    /// All tests wait, in their order.
    pub(super) fn new(tests: &'a [Planned]) -> Self {
        let state = State { waiting: tests.iter().collect(), running: Vec::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next test whose lane is free; waits for one. `None` when no test waits any more.
    pub(super) fn take(&self) -> Option<&'a Planned> {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() {
                return None;
            }
            if let Some(at) = state.waiting.iter().position(|test| state.is_free(test)) {
                let test = state.waiting.remove(at);
                state.running.push(test);
                return Some(test);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the lane of a test back.
    pub(super) fn done(&self, test: &Planned) {
        self.lock().running.retain(|running| running.name != test.name);
        self.changed.notify_all();
    }

    /// Waits for a while; true when no test waits or runs any more.
    pub(super) fn wait_until_done(&self, limit: Duration) -> bool {
        let is_busy = |state: &mut State<'_>| !state.waiting.is_empty() || !state.running.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn is_free(&self, test: &Planned) -> bool {
        let is_alone = |test: &Planned| test.lane.as_deref() == Some(plan::ALONE);
        let is_in_the_way = |running: &&Planned| {
            is_alone(running) || is_alone(test) || (test.lane.is_some() && running.lane == test.lane)
        };
        !self.running.iter().any(is_in_the_way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str, lane: Option<&str>) -> Planned {
        Planned {
            file: "f".to_owned(),
            test: name.to_owned(),
            name: name.to_owned(),
            lane: lane.map(str::to_owned),
            tries: 1,
        }
    }

    #[test]
    fn a_busy_lane_is_passed_over() {
        let tests = [planned("a", Some("x")), planned("b", Some("x")), planned("c", None)];
        let queue = Queue::new(&tests);
        let names =
            |count| -> Vec<&str> { (0..count).map(|_| queue.take().unwrap().name.as_str()).collect() };
        assert_eq!(names(2), ["a", "c"]);
        queue.done(&tests[0]);
        assert_eq!(names(1), ["b"]);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn nothing_runs_beside_one_that_runs_alone() {
        let tests = [planned("a", None), planned("b", Some(plan::ALONE)), planned("c", None)];
        let queue = Queue::new(&tests);
        let is_free = |test: &Planned| queue.lock().is_free(test);
        assert_eq!(queue.take().map(|test| &*test.name), Some("a"));
        assert!(!is_free(&tests[1]) && is_free(&tests[2]));
        queue.done(&tests[0]);
        assert_eq!(queue.take().map(|test| &*test.name), Some("b"));
        assert!(!is_free(&tests[2]));
        queue.done(&tests[1]);
        assert!(is_free(&tests[2]));
    }

    #[test]
    fn it_is_done_when_the_last_test_is() {
        let tests = [planned("a", None)];
        let queue = Queue::new(&tests);
        assert!(!queue.wait_until_done(Duration::ZERO));
        let test = queue.take().unwrap();
        assert!(!queue.wait_until_done(Duration::ZERO));
        queue.done(test);
        assert!(queue.wait_until_done(Duration::from_secs(60)));
    }
}
