//! Lines of logs, as they were written but for redacted secrets.
//!
//! What stands in them is what somebody wrote, containers included: evidence for a reader, never an identity.

use serde::{Deserialize, Serialize};

/// One record of the kernel's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelLine {
    /// Microseconds after boot.
    pub at_us: u64,
    /// `LOG_EMERG` 0 to `LOG_DEBUG` 7.
    pub level: u8,
    /// The text.
    pub text: String,
}

/// One line of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// Path of the file, or `journal`.
    pub source: String,
    /// Unit or program that wrote it, if the source tells.
    pub unit: Option<String>,
    /// Milliseconds after 1970 (UTC), if the source tells; a text line keeps its own time in `text`.
    pub at_ms: Option<u64>,
    /// The line without its end.
    pub text: String,
}
