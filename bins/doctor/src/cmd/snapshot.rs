//! `sluice-doctor snapshot`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Saves what this node looks like now.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("snapshot"))
}
