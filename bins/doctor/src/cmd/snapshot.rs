//! `sluice-doctor snapshot`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diagnose::{Snapshot, Source};

use crate::answer;
use crate::failure::Failure;

/// Saves what this node looks like now, read-only, for an analysis here or on another machine.
///
/// Secrets in arguments, environments, configuration and log lines are redacted where their names give them away; look
/// at a snapshot before you pass it on.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write one compressed file, which must not be there yet; without it the snapshot is printed as JSON.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Look at a directory with `proc`, `sys`, `run` and so on in it instead of this machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let source = options.root.clone().map_or(Source::Live, Source::Tree);
    let snapshot = diagnose::collect(&source)?;
    match &options.save {
        Some(path) => {
            diagnose::saved::save(&snapshot, path)?;
            answer::print(&summary(&snapshot))?
        }
        None => answer::print_json(&snapshot)?,
    };
    Ok(ExitCode::SUCCESS)
}

/// What was saved, and what could not be seen.
fn summary(snapshot: &Snapshot) -> String {
    let threads: usize = snapshot.processes.iter().map(|process| process.threads.len()).sum();
    let mut text = format!(
        "{} processes, {threads} threads, {} pipes, {} unix sockets, {} control groups, {} containers, \
         {} log lines in {} ms\n",
        snapshot.processes.len(),
        snapshot.pipes.len(),
        snapshot.sockets.len(),
        snapshot.cgroups.len(),
        snapshot.containers.len(),
        snapshot.logs.len() + snapshot.kernel_log.len(),
        snapshot.taken.duration_ms,
    );
    for hidden in diagnose::diagnose::unseen::hidden(snapshot) {
        text.push_str(&format!("not seen: {hidden}\n"));
    }
    for unseen in &snapshot.unseen {
        text.push_str(&format!("not seen: {}: {}\n", unseen.what, unseen.why));
    }
    text
}
