//! The two rhythms in which calls are repeated.

use std::time::Duration;

use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::sample::{Result as Measured, Samples};
use crate::bench::trial::Trial;
use crate::failure::Failure;

/// The pause before a call at probe rhythm.
const PROBE: Duration = Duration::from_millis(100);

/// Blocks of consecutive calls of one contestant; the contestants' blocks alternate. Calls of several contestants in
/// turn would disturb each other: each leaves the kernel's caches and its deferred work to the next.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn back_to_back(
    lab: &Lab,
    verb: &str,
    trials: &mut [Trial<'_>],
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    repeat(lab, &format!("{verb}, back to back"), trials, options.blocks, |trial| block(trial, options.block))
}

fn block(trial: &Trial<'_>, calls: usize) -> Result<Vec<Duration>, Failure> {
    // The first call of a block finds the caches of another contestant.
    trial.once()?;
    (0..calls).map(|_| trial.once()).collect()
}

/// One call each 100 ms, in turn, as a node's probes come.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn probe(
    lab: &Lab,
    verb: &str,
    trials: &mut [Trial<'_>],
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    repeat(lab, &format!("{verb}, one per 100 ms"), trials, options.probes, |trial| {
        std::thread::sleep(PROBE);
        Ok(vec![trial.once()?])
    })
}

fn repeat(
    lab: &Lab,
    scenario: &str,
    trials: &mut [Trial<'_>],
    rounds: usize,
    round: impl Fn(&Trial<'_>) -> Result<Vec<Duration>, Failure>,
) -> Result<Vec<Measured>, Failure> {
    eprintln!("bench: {scenario}");
    let mut all: Vec<Samples> = trials.iter().map(|_| Samples::default()).collect();
    for _ in 0..rounds {
        for (trial, samples) in trials.iter().zip(&mut all) {
            lab.interrupted()?;
            let before = trial.usage();
            let times = round(trial)?;
            samples.add(times, trial.usage().since(before));
        }
    }
    let named = trials.iter().zip(&all);
    Ok(named.map(|(trial, samples)| samples.result(scenario, &trial.name)).collect())
}
