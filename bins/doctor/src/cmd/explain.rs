//! `sluice-doctor explain`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Says which failure class a log line is.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("explain"))
}
