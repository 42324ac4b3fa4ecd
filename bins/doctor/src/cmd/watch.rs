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
    /// Print a unit for systemd that runs this program so, and do nothing else.
    #[arg(long, exclusive = true)]
    print_unit: bool,
}

/// The unit, with the place where `make install` puts the program.
const UNIT: &str = include_str!("../../sluice-doctor.service");
const PLACE: &str = "/usr/local/bin/sluice-doctor";

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    if options.print_unit {
        return print_unit();
    }
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

/// The unit for the program where it lies now.
fn print_unit() -> Result<ExitCode, Failure> {
    let place = std::env::current_exe().map_err(Failure::Place)?;
    answer::print(&UNIT.replace(PLACE, &place.to_string_lossy()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_the_program_once() {
        assert_eq!(UNIT.matches(PLACE).count(), 1);
        assert!(UNIT.contains(&format!("\nExecStart={PLACE} watch ")));
    }
}
