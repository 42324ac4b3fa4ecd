//! Times of one contestant in one scenario, and what is said about them.

use std::time::Duration;

use crate::bench::usage::Usage;

/// Times that were taken, block by block.
#[derive(Default)]
pub(super) struct Samples {
    blocks: Vec<Vec<Duration>>,
    usage: Usage,
}

/// One row of the report; times in microseconds.
pub(super) struct Result {
    /// Scenario and rhythm, as in "exec, back to back".
    pub(super) scenario: String,
    /// Name of the contestant.
    pub(super) contestant: String,
    /// Number of calls.
    pub(super) count: usize,
    /// Median of the blocks' medians.
    pub(super) median: f64,
    /// Lowest median of a block.
    pub(super) best: f64,
    /// 99th percentile of all calls.
    pub(super) p99: f64,
    /// Processor time of a call, with that of all its children it waited for.
    pub(super) cpu: f64,
    /// Minor page faults of a call.
    pub(super) faults: f64,
    /// Calls per second, where several ran at once.
    pub(super) throughput: Option<f64>,
    /// System calls of one call, with all its children.
    pub(super) syscalls: Option<u64>,
}

impl Samples {
    /// Adds a block and what its calls have used.
    pub(super) fn add(&mut self, times: Vec<Duration>, usage: Usage) {
        self.blocks.push(times);
        self.usage = self.usage.plus(usage);
    }

    /// What is said about them.
    pub(super) fn result(&self, scenario: &str, contestant: &str) -> Result {
        let mut all: Vec<f64> = self.blocks.iter().flatten().map(micros).collect();
        all.sort_by(f64::total_cmp);
        let mut medians: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| median(&mut block.iter().map(micros).collect::<Vec<_>>()))
            .collect();
        let best = medians.iter().copied().fold(f64::INFINITY, f64::min);
        let per_call = |sum: f64| sum / number(all.len().max(1));
        Result {
            scenario: scenario.to_owned(),
            contestant: contestant.to_owned(),
            count: all.len(),
            median: median(&mut medians),
            best: if best.is_finite() { best } else { 0.0 },
            p99: at_share(&all, 99),
            cpu: per_call(micros(&self.usage.cpu())),
            faults: per_call(number(usize::try_from(self.usage.faults).unwrap_or(0))),
            throughput: None,
            syscalls: None,
        }
    }
}

fn micros(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count as a number to reckon with; counts here are far below 2^32.
pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => f64::midpoint(*value, values[middle - 1]),
    }
}

fn at_share(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_block_does_not_move_the_median() {
        let mut samples = Samples::default();
        for time in [10, 11, 900] {
            samples.add(vec![Duration::from_micros(time); 5], Usage::default());
        }
        let result = samples.result("exec", "x");
        assert!((result.median - 11.0).abs() < 0.1 && (result.best - 10.0).abs() < 0.1);
        assert!(result.p99 > 800.0 && result.count == 15);
    }
}
