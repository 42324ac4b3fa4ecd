//! `sluice-doctor watch`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diagnose::watch::{INTERVAL, Watch};

use crate::answer;
use crate::failure::Failure;

/// Looks at the node every three seconds until it is stopped, and tells each finding once, as a line of JSON.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Keep the snapshots from each onset here, the newest twenty.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sluice-doctor")]
    state: PathBuf,
    /// Write metrics here, for the textfile collector of Prometheus' node exporter (name it `*.prom`).
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// End after so many looks.
    #[arg(long, value_name = "COUNT")]
    looks: Option<u64>,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let mut watch = Watch::begin(&options.state, options.metrics.as_deref())?;
    let mut looks = 0;
    loop {
        match watch.round() {
            Ok(events) => events.iter().try_for_each(answer::print_json)?,
            Err(error) => {
                // A round that failed is no reason to stop watching.
                let text = Failure::from(error).text();
                let _ = writeln!(std::io::stderr(), "sluice-doctor: {text}");
            }
        }
        looks += 1;
        if options.looks.is_some_and(|most| looks >= most) {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(INTERVAL);
    }
}
