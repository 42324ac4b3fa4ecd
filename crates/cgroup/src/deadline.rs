//! A limit on a wait, and the pauses in between.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Error;

const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Runs from its making; [`Deadline::pause`] sleeps a little longer each time, never beyond the end.
#[derive(Debug)]
pub(crate) struct Deadline {
    stage: &'static str,
    start: Instant,
    limit: Duration,
    pause: Duration,
}

impl Deadline {
    pub(crate) fn new(stage: &'static str, limit: Duration) -> Self {
        Self { stage, start: Instant::now(), limit, pause: SHORTEST_PAUSE }
    }

    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Starts again with the shortest pause, after some progress.
    pub(crate) fn quicken(&mut self) {
        self.pause = SHORTEST_PAUSE;
    }

    pub(crate) fn pause(&mut self) {
        std::thread::sleep(self.pause.min(self.left()));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    pub(crate) fn error(&self, path: &Path, pids: Vec<i32>) -> Error {
        Error::Deadline { stage: self.stage, path: path.to_owned(), waited: self.start.elapsed(), pids }
    }
}
