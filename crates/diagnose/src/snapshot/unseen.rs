//! What a snapshot does not show, and why.

use serde::{Deserialize, Serialize};

/// One thing that was to be seen and was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// The file, or the thing in words: `/proc/42/cmdline`, `descriptors of 311 processes`.
    pub what: String,
    /// The reason.
    pub why: Why,
}

/// Why something was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The kernel refused: `EPERM` or `EACCES`. Root would see it.
    Denied,
    /// The read did not come back in time, and whoever was reading was killed.
    TimedOut {
        /// How long it was waited for, milliseconds.
        after_ms: u64,
    },
    /// It was not tried, because the process is in uninterruptible sleep and the read could join it there.
    Uninterruptible,
    /// There is more than the snapshot takes.
    TooMuch {
        /// How many of them were taken.
        taken: u64,
    },
    /// The kernel refused with another errno.
    Refused {
        /// The errno.
        errno: i32,
    },
    /// It was read, and is not in the form that is known.
    Malformed,
    /// This host has no such thing: a kernel without it, a program that is not installed.
    Absent,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied => f.write_str("only root may see it"),
            Self::TimedOut { after_ms } => write!(f, "no answer within {after_ms} ms"),
            Self::Uninterruptible => f.write_str("not tried, the process is in uninterruptible sleep"),
            Self::TooMuch { taken } => write!(f, "too much, {taken} taken"),
            Self::Refused { errno } => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
            Self::Malformed => f.write_str("not in a form that is known"),
            Self::Absent => f.write_str("there is none here"),
        }
    }
}
