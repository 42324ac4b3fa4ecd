//! `sluice-doctor heal`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Shows the remedies, and carries one out when told.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("heal"))
}
