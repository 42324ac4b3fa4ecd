//! The outcome of one look at one snapshot: what `--json` prints and what the report draws.

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};
use crate::graph::Graph;

/// Name and version of the schema; the number rises when a field changes its meaning or goes away.
pub const SCHEMA: &str = "sluice-doctor.diagnosis/1";

/// One correlated log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When it was written, as the log says it; empty when it does not say.
    pub at: String,
    /// Which log.
    pub from: String,
    /// The line, made harmless.
    pub text: String,
    /// Failure class, when the line reads as one.
    pub class: Option<String>,
}

/// Everything that was found in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: String,
    /// When the snapshot was taken, RFC 3339, UTC.
    pub taken_at: String,
    /// Name of the machine.
    pub host: String,
    /// Release of its kernel.
    pub kernel: String,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// Who waits for whom, around the blockers.
    pub graph: Graph,
    /// Keys of the blockers in the graph.
    pub blockers: Vec<String>,
    /// Log lines that have to do with it, oldest first.
    pub time_line: Vec<Moment>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

impl Diagnosis {
    /// The worst severity; none when nothing was found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// 0 when nothing is broken, 1 for warnings and for what only one look has seen, 2 for what is critical for certain.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.findings.iter().map(Finding::exit_code).max().unwrap_or(0)
    }
}
