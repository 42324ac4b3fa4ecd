//! `cargo xtask demo`: containers and execs in good times and at their limits.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Runs the demonstration.
pub(crate) fn run(_workspace: &Workspace, _arguments: &[String]) -> Result<ExitCode, Failure> {
    Err(Failure::Usage("not yet".to_owned()))
}
