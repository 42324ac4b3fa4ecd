//! What the guest tells the host: one JSON object a line, on a virtio port.
//!
//! ```text
//!     guest                          host
//!       |------- hello ------------->|   the runner is there
//!       |------- started ----------->|
//!       |------- ended ------------->|   for each test, as they come
//!       |------- alive ------------->|   every few seconds, also when nothing ends
//!       |------- summary ----------->|   the last word; then systemd powers off
//! ```

use serde::{Deserialize, Serialize};

/// Name of the virtio port.
pub(super) const PORT: &str = "sluice.results";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The runner started.
    Hello {
        /// Release of the kernel.
        kernel: String,
        /// How many tests it will run.
        tests: usize,
    },
    /// A test's process started.
    Started {
        /// Full name of the test.
        name: String,
    },
    /// A test's process ended, or was ended; comes again for a test that is tried again.
    Ended {
        /// Full name of the test.
        name: String,
        outcome: Outcome,
        /// How long it took, in milliseconds.
        ms: u64,
        /// What it wrote; empty when it passed.
        output: String,
    },
    /// The runner lives.
    Alive,
    /// Every test ended.
    Summary { passed: usize, failed: usize },
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its process ended with 0 after it said that one test passed.
    Passed,
    /// Anything else.
    Failed,
    /// It did not end in time and was killed.
    Hung,
    /// It failed or hung, and is begun once more.
    Again,
}

impl Event {
    /// Reads one line; `None` for what is no event.
    pub(super) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The event as a line, without its end.
    pub(super) fn line(&self) -> String {
        // Strings and numbers have a JSON form always.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let output = "two\nlines, \"quotes\" and \u{1b}[31mred\u{1b}[0m".to_owned();
        for event in [
            Event::Hello { kernel: "6.1.0".to_owned(), tests: 3 },
            Event::Started { name: "oci::exec::x".to_owned() },
            Event::Ended { name: "oci::exec::x".to_owned(), outcome: Outcome::Hung, ms: 12, output },
            Event::Alive,
            Event::Summary { passed: 2, failed: 1 },
        ] {
            let line = event.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Event::parse(&line), Some(event));
        }
    }

    #[test]
    fn noise_is_no_event() {
        for line in ["", "hello", "{}", "{\"event\":\"party\"}", "{\"event\":\"summary\",\"passed\":-1}"] {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }
}
