//! `sluice-doctor goroutines`.

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Groups a goroutine dump by what is waited for.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Carries it out.
pub(crate) fn run(_options: &Options) -> Result<ExitCode, Failure> {
    Err(Failure::Absent("goroutines"))
}
