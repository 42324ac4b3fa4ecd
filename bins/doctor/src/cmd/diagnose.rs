//! `sluice-doctor`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Takes a snapshot and says what is wrong with this node.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("diagnose"))
}
