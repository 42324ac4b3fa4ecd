//! `sluice-doctor watch`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diagnose::watch::{Event, INTERVAL, Watch};
use serde::Serialize;

use crate::answer::{self, Reader};
use crate::failure::Failure;

/// Looks at the node every three seconds until it is stopped or nobody reads what it says, and tells each finding once, as a line of JSON.
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

/// Name and version of a line; the number rises when a field changes its meaning or goes away.
const SCHEMA: &str = "sluice-doctor.event/1";

/// What is printed of an event.
#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    #[serde(flatten)]
    event: &'a Event,
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
    let mut before: Vec<String> = Vec::new();
    loop {
        let round = watch.round();
        round.hidden.iter().for_each(|hidden| answer::complain(&format!("not seen: {hidden}")));
        let reader = tell(&round.events)?;
        // A round that failed is no reason to stop watching.
        let errors: Vec<String> = round.errors.iter().map(diagnose::Error::with_causes).collect();
        // On a full disk every round fails with the same words.
        errors.iter().filter(|error| !before.contains(error)).for_each(|error| answer::complain(error));
        before = errors;
        looks += 1;
        let is_enough = options.looks.is_some_and(|most| looks >= most);
        if is_enough || reader == Reader::Gone || answer::wait(INTERVAL) == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Prints events, one a line, until nobody reads them.
fn tell(events: &[Event]) -> Result<Reader, Failure> {
    for event in events {
        if answer::print_json(&Line { schema: SCHEMA, event })? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    Ok(Reader::There)
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

    #[test]
    fn the_unit_may_read_other_processes_and_not_signal_them() {
        let set = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        assert_eq!(set, Some("CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_SYSLOG"));
    }
}
