//! When a stream of output ends: who is owed which bytes, and how long to wait for more.
//!
//! ```text
//!     leader runs      | leader's exit           | all owed bytes went out     | nobody holds the pipe,
//!     (no bound)       | (no bound: until taken) | (idle, total)               | or the bound is over
//!     -----------------+-------------------------+-----------------------------+----------------------->
//!     Running            Owing                     Settled                       the relay's end
//! ```
//!
//! **Invariant:** no bound runs while bytes that were in the pipe at the leader's exit have not gone out.

use std::time::Instant;

use super::bounds::Bounds;

/// What is known of a stream's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    bounds: Bounds,
    moved: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The leader lives.
    Running,
    /// The leader has ended, and bytes up to `owed` (counted from the stream's start) are on their way.
    Owing { owed: u64 },
    /// What was owed went out at `since`; the last byte after that at `last`.
    Settled { since: Instant, last: Instant },
}

impl Ending {
    /// A stream whose leader lives.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, moved: 0, stage: Stage::Running }
    }

    /// Bytes that went out since the start.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the leader has ended.
    pub(super) fn has_exited(&self) -> bool {
        self.stage != Stage::Running
    }

    /// Owed bytes that have not gone out.
    pub(super) fn owing(&self) -> u64 {
        match self.stage {
            Stage::Owing { owed } => owed.saturating_sub(self.moved),
            Stage::Running | Stage::Settled { .. } => 0,
        }
    }

    /// The leader has ended with `queued` bytes in the pipe. Only the first call counts.
    pub(super) fn exited(&mut self, queued: u64, now: Instant) {
        if self.stage == Stage::Running {
            self.stage = Stage::Owing { owed: self.moved.saturating_add(queued) };
            self.settle(now);
        }
    }

    /// `count` bytes went out.
    pub(super) fn went_out(&mut self, count: u64, now: Instant) {
        self.moved = self.moved.saturating_add(count);
        if let Stage::Settled { last, .. } = &mut self.stage {
            *last = now;
        }
        self.settle(now);
    }

    /// The pipe was seen empty: whoever else read from it, nothing is owed any more.
    pub(super) fn emptied(&mut self, now: Instant) {
        if self.has_exited() && self.owing() > 0 {
            self.stage = Stage::Settled { since: now, last: now };
        }
    }

    fn settle(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Owing { owed } if self.moved >= owed) {
            self.stage = Stage::Settled { since: now, last: now };
        }
    }

    /// When to stop waiting for more; `None`: not by time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Running | Stage::Owing { .. } => None,
            Stage::Settled { since, last } => {
                let idle = last.checked_add(self.bounds.idle);
                let total = since.checked_add(self.bounds.total);
                idle.into_iter().chain(total).min()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        idle: Duration::from_secs(1),
        total: Duration::from_secs(10),
        delete: Duration::ZERO,
        ready: Duration::ZERO,
    };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn no_bound_runs_while_the_leader_lives_or_bytes_are_owed() {
        let start = Instant::now();
        let mut ending = Ending::new(BOUNDS);
        assert_eq!(ending.deadline(), None);
        ending.went_out(5, start);
        ending.exited(7, start);
        assert_eq!((ending.deadline(), ending.owing()), (None, 7));
        ending.went_out(6, at(start, 100));
        assert_eq!((ending.deadline(), ending.owing()), (None, 1));
        ending.went_out(1, at(start, 200));
        assert_eq!((ending.deadline(), ending.owing()), (Some(at(start, 201)), 0));
    }

    #[test]
    fn survivors_have_the_idle_bound_again_and_again_but_the_total_once() {
        let start = Instant::now();
        let mut ending = Ending::new(BOUNDS);
        ending.exited(0, start);
        for second in 0..20 {
            ending.went_out(1, at(start, second));
            assert_eq!(ending.deadline(), Some(at(start, (second + 1).min(10))));
        }
    }

    #[test]
    fn bytes_that_somebody_else_read_are_not_waited_for() {
        let start = Instant::now();
        let mut ending = Ending::new(BOUNDS);
        ending.emptied(start);
        assert!(!ending.has_exited());
        ending.exited(7, start);
        ending.emptied(at(start, 3));
        assert_eq!((ending.deadline(), ending.owing()), (Some(at(start, 4)), 0));
        ending.emptied(at(start, 9));
        assert_eq!(ending.deadline(), Some(at(start, 4)), "an empty pipe is no sign of life");
    }

    proptest! {
        #[test]
        fn a_deadline_exists_exactly_when_all_owed_bytes_went_out(
            before in proptest::collection::vec(0_u64..100, 0..5),
            queued in 0_u64..300,
            after in proptest::collection::vec(0_u64..100, 0..8),
        ) {
            let now = Instant::now();
            let mut ending = Ending::new(BOUNDS);
            before.iter().for_each(|count| ending.went_out(*count, now));
            prop_assert_eq!(ending.deadline(), None);
            ending.exited(queued, now);
            let mut out = 0;
            for count in after {
                prop_assert_eq!(ending.deadline().is_some(), out >= queued);
                prop_assert_eq!(ending.owing(), queued.saturating_sub(out));
                ending.went_out(count, now);
                out += count;
            }
            prop_assert_eq!(ending.moved(), before.iter().sum::<u64>() + out);
        }
    }
}
