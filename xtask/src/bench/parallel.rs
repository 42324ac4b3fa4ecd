//! Four workers that exec into the same container as fast as they can.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::bench::contestant::{Standing, must};
use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::sample::{Result as Measured, Samples, number};
use crate::bench::usage::Usage;
use crate::failure::Failure;

const WORKERS: usize = 4;
const ROUNDS: usize = 2;

/// Each contestant alone, twice, in turn.
///
/// # Errors
/// When a call fails, or on Ctrl-C.
pub(super) fn measure(
    lab: &Lab,
    standing: &[Standing<'_>],
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    eprintln!("bench: exec, {WORKERS} at once");
    let mut all: Vec<(Samples, Duration)> = standing.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for (one, (samples, took)) in standing.iter().zip(&mut all) {
            lab.interrupted()?;
            let (before, start) = (Usage::of_children(), Instant::now());
            let times = run(lab, one, Duration::from_secs(options.seconds))?;
            *took += start.elapsed();
            samples.add(times, Usage::of_children().since(before));
        }
    }
    let row = |(one, (samples, took)): (&Standing<'_>, &(Samples, Duration))| {
        let mut row = samples.result(&format!("exec, {WORKERS} at once"), &one.contestant.name);
        row.throughput = Some(number(row.count) / took.as_secs_f64());
        row
    };
    Ok(standing.iter().zip(&all).map(row).collect())
}

fn run(lab: &Lab, standing: &Standing<'_>, limit: Duration) -> Result<Vec<Duration>, Failure> {
    let failed = AtomicUsize::new(0);
    let end = Instant::now() + limit;
    let work = || {
        let mut times = Vec::new();
        while Instant::now() < end && failed.load(Ordering::Relaxed) == 0 {
            let start = Instant::now();
            if let Err(failure) = lab.interrupted().and_then(|()| must(standing.exec())) {
                failed.fetch_add(1, Ordering::Relaxed);
                return Err(failure);
            }
            times.push(start.elapsed());
        }
        Ok(times)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| Failure::Usage("a worker panicked".to_owned()))??);
        }
        Ok(all)
    })
}
