//! How many execs there were, how they went and how long they took.
//!
//! The shim notes it in memory and puts a file into the bundle, at most once a second; who wants to know reads the file.
//! So nobody stops anybody, and the last numbers of a shim that is stuck or gone can still be read.

use crate::replace::replace;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the file in the bundle.
pub const NAME: &str = "sluice.counters";

/// Version of the file.
const FORMAT: u32 = 1;

/// Upper bounds of the buckets are powers of two microseconds; the last one holds everything from 36 minutes on.
const BUCKETS: usize = 32;

/// How an exec went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its program was executed.
    Started,
    /// It was refused before there was a program.
    Refused,
    /// It ended with status 0.
    Succeeded,
    /// It ended with another status.
    Failed,
    /// A signal ended it.
    Signaled,
    /// It was killed with everything it had started.
    TreeKilled,
    /// It was killed, but not everything it had started could be found or has ended.
    TreePartly,
    /// Bytes of its output were lost: nobody took them.
    OutputLost,
}

/// Durations by powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many had at most 1, 2, 4, ... microseconds, each counted once.
    buckets: Vec<u64>,
}

/// The numbers of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    format: u32,
    /// How often each outcome was.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// From the request to start to the answer.
    pub start: Histogram,
    /// From the start to the end.
    pub life: Histogram,
}

/// Why the numbers cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file, or it cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is none of this version.
    #[error("parse {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1);
        // The bucket of 2^n holds what is above 2^(n-1).
        let bucket = usize::try_from((microseconds - 1).checked_ilog2().map_or(0, |log| log + 1));
        self.buckets.resize(BUCKETS, 0);
        let last = BUCKETS - 1;
        if let Some(count) = self.buckets.get_mut(bucket.unwrap_or(last).min(last)) {
            *count += 1;
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration that `percent` of 100 did not exceed, rounded up to a power of two; `None` without any.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_micros(1 << bucket))
    }
}

impl Counters {
    /// Counts an outcome.
    pub fn count(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Counts a start that succeeded.
    pub fn started(&mut self, took: Duration) {
        self.count(Outcome::Started);
        self.start.add(took);
    }

    /// Counts an end; `status` is 128 + signal for a killed process.
    ///
    /// A program that itself ends with more than 128 counts as killed, as in a shell.
    pub fn ended(&mut self, status: u32, lived: Duration) {
        self.count(match status {
            0 => Outcome::Succeeded,
            129..=192 => Outcome::Signaled,
            _ => Outcome::Failed,
        });
        self.life.add(lived);
    }

    /// Puts the file into the bundle.
    ///
    /// # Errors
    /// What the kernel said; the file that was there stays.
    pub fn write(&self, bundle: &Path) -> Result<(), Errno> {
        let file = Self { format: FORMAT, ..self.clone() };
        let text = serde_json::to_vec(&file).map_err(|_| Errno::INVAL)?;
        replace(bundle, NAME, &text)
    }

    /// Reads the file of a bundle.
    ///
    /// # Errors
    /// [`Error`] names the file.
    pub fn read(bundle: &Path) -> Result<Self, Error> {
        let path = bundle.join(NAME);
        let text = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| Error::Parse { path, source })
    }
}

/// One line for each number, for people and for `grep`.
impl fmt::Display for Counters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (outcome, count) in &self.outcomes {
            let name = serde_json::to_value(outcome).unwrap_or_default();
            writeln!(formatter, "{:<14} {count}", name.as_str().unwrap_or_default())?;
        }
        for (name, histogram) in [("start", &self.start), ("life", &self.life)] {
            let at_most = |percent| histogram.percentile(percent).unwrap_or_default().as_micros();
            let (half, most, nearly_all) = (at_most(50), at_most(90), at_most(99));
            let count = histogram.count();
            writeln!(formatter, "{name:<14} {count} p50<={half}us p90<={most}us p99<={nearly_all}us")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_next_power_of_two() {
        for (microseconds, expected) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1000, 1024)] {
            let mut histogram = Histogram::default();
            histogram.add(Duration::from_micros(microseconds));
            let found = histogram.percentile(50);
            assert_eq!(found, Some(Duration::from_micros(expected)), "{microseconds} us");
        }
        let mut histogram = Histogram::default();
        histogram.add(Duration::MAX);
        assert_eq!(histogram.count(), 1);
    }

    #[test]
    fn percentiles_are_told_apart() {
        let mut histogram = Histogram::default();
        (0..98).for_each(|_| histogram.add(Duration::from_micros(100)));
        (0..2).for_each(|_| histogram.add(Duration::from_millis(100)));
        assert_eq!(histogram.percentile(50), Some(Duration::from_micros(128)));
        assert_eq!(histogram.percentile(98), Some(Duration::from_micros(128)));
        assert_eq!(histogram.percentile(99), Some(Duration::from_micros(131_072)));
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn what_one_writes_another_reads() {
        let bundle = tempfile::tempdir().unwrap();
        let mut counters = Counters::default();
        counters.started(Duration::from_micros(700));
        counters.ended(0, Duration::from_millis(5));
        counters.ended(137, Duration::from_millis(5));
        counters.ended(3, Duration::from_millis(5));
        counters.write(bundle.path()).unwrap();
        let found = Counters::read(bundle.path()).unwrap();
        assert_eq!(
            (&found.outcomes, &found.start, &found.life),
            (&counters.outcomes, &counters.start, &counters.life)
        );
        let text = found.to_string();
        for line in
            ["succeeded      1", "signaled       1", "failed         1", "start          1 p50<=1024us"]
        {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_bundle_without_numbers_is_named() {
        let error = Counters::read(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "read /nowhere/sluice.counters");
    }
}
