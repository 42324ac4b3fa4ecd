//! `sluice-doctor heal`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diagnose::Source;
use diagnose::diagnosis::Diagnosis;
use diagnose::heal;

use crate::failure::Failure;
use crate::{answer, findings};

/// Shows what could be done, mildest first, with what it costs; carries it out when told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Carry out a remedy of this finding.
    #[arg(long, value_name = "FINDING")]
    apply: Option<String>,
    /// Which of its remedies; without it the mildest that can be carried out.
    #[arg(long, value_name = "NAME", requires = "apply")]
    remedy: Option<String>,
    /// Where bytes that are read from a pipe are kept.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sluice-doctor")]
    evidence: PathBuf,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let diagnosis = look()?;
    let Some(id) = &options.apply else {
        answer::print(&findings::remedies(&diagnosis))?;
        return Ok(ExitCode::from(diagnosis.exit_code()));
    };
    let (_, remedy) = heal::choose(&diagnosis, id, options.remedy.as_deref())?;
    answer::print(&findings::plan(remedy))?;
    let Some(action) = &remedy.action else { return Ok(ExitCode::SUCCESS) };
    let look = || look().unwrap_or_else(|_| diagnosis.clone());
    let done = heal::apply(&diagnosis, id, action, &options.evidence, look)?;
    answer::print(&findings::done(&done))?;
    Ok(if done.healed { ExitCode::SUCCESS } else { ExitCode::from(diagnosis.exit_code()) })
}

fn look() -> Result<Diagnosis, Failure> {
    Ok(diagnose::diagnose::observe(&Source::Live, |_| ())?.1)
}
