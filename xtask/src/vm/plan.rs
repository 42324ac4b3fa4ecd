//! What the host tells the guest: a file on the second disk.

use serde::{Deserialize, Serialize};

/// Name of the file.
pub(super) const FILE: &str = "plan.json";

/// The lane of tests that change what every other one finds: they run when no other does.
pub(super) const ALONE: &str = "alone";

/// What is to be run in the guest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    /// In this order, as far as lanes allow.
    pub(super) tests: Vec<Planned>,
    /// Tests at a time.
    pub(super) threads: usize,
    /// By what the tests multiply the time limits of their hang guards.
    pub(super) patience: u32,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    /// Name of the executable on the disk.
    pub(super) file: String,
    /// What the executable calls the test.
    pub(super) test: String,
    /// What people call it: the executable's short name and the test's.
    pub(super) name: String,
    /// Two tests of the same lane never run at the same time; see also [`ALONE`].
    pub(super) lane: Option<String>,
    /// How often it is run until it passes, at least once.
    pub(super) tries: u32,
}
