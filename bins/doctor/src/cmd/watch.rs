//! `sluice-doctor watch`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Looks at the node until it is stopped.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("watch"))
}
