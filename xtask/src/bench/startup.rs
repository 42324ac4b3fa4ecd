//! What a runtime costs that does nothing: `--version`.

use crate::bench::contestant::Contestant;
use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::rhythm;
use crate::bench::sample::Result as Measured;
use crate::bench::trial::Trial;
use crate::failure::Failure;

/// `--version`, back to back.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn measure(
    lab: &Lab,
    contestants: &[Contestant],
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    let mut trials: Vec<Trial<'_>> = contestants.iter().map(version).collect();
    rhythm::back_to_back(lab, "--version", &mut trials, options)
}

fn version(contestant: &Contestant) -> Trial<'_> {
    Trial::new(&contestant.name, || contestant.command(&["--version"]))
}
