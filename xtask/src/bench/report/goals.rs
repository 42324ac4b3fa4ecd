//! The ratios that the runtime is meant to reach, beside those that were measured.

use std::fmt::Write as _;

use crate::bench::filter::LIBSECCOMP;
use crate::bench::sample::Result as Measured;

/// What is compared: ours divided by the peer's.
#[derive(Clone, Copy)]
enum Of {
    /// Median time.
    Time,
    /// Processor time of a call.
    Cpu,
    /// Time between two answers with several workers at once.
    Pace,
}

/// A scenario, the peer, the highest ratio.
type Goal = (&'static str, &'static str, Of, f64);

/// Against Debian's crun 1.8 and runc 1.1.
const GOALS: [Goal; 13] = [
    ("exec, back to back", "crun", Of::Time, 0.30),
    ("exec, back to back", "runc", Of::Time, 0.05),
    ("exec, back to back", "crun", Of::Cpu, 0.25),
    ("exec, one per 100 ms", "crun", Of::Time, 0.12),
    ("exec, one per 100 ms", "runc", Of::Time, 0.05),
    ("exec, 4 at once", "crun", Of::Pace, 0.25),
    ("exec by library call, back to back", "crun", Of::Time, 0.10),
    ("exec by library call, back to back", "runc", Of::Time, 0.015),
    ("exec by library call, back to back", "host", Of::Time, 4.0),
    ("run, back to back", "crun", Of::Time, 0.12),
    ("run, back to back", "runc", Of::Time, 0.09),
    ("create + start + delete", "runc", Of::Time, 0.10),
    ("loading the seccomp profile", LIBSECCOMP, Of::Time, 0.25),
];

/// One line for each goal whose scenario was measured.
pub(super) fn text(rows: &[Measured]) -> String {
    let lines: String = GOALS.iter().filter_map(|goal| line(rows, goal)).collect();
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n### Goals\n\n| scenario | ours divided by | of | goal | measured | |\n|---|---|---|--:|--:|---|\n{lines}"
    )
}

fn line(rows: &[Measured], (scenario, peer, of, goal): &Goal) -> Option<String> {
    let value = |name: &str| {
        let row = rows.iter().find(|row| row.scenario == *scenario && row.contestant == name)?;
        let value = match of {
            Of::Time => row.median,
            Of::Cpu => row.cpu,
            Of::Pace => 1.0 / row.throughput?,
        };
        (value > 0.0).then_some(value)
    };
    let ratio = value("sluice")? / value(peer)?;
    let word = match of {
        Of::Time => "time",
        Of::Cpu => "processor time",
        Of::Pace => "time per answer",
    };
    let verdict = if ratio <= *goal { "reached" } else { "missed" };
    let mut line = String::new();
    let _ = writeln!(line, "| {scenario} | {peer} | {word} | {goal} | {ratio:.3} | {verdict} |");
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::sample::Samples;
    use crate::bench::usage::Usage;

    #[test]
    fn a_goal_is_reached_at_its_ratio_and_missed_above() {
        let row = |name: &str, micros: u64| {
            let mut samples = Samples::default();
            samples.add(vec![Duration::from_micros(micros)], Usage::default());
            samples.result("run, back to back", name)
        };
        let of = |ours| text(&[row("sluice", ours), row("runc", 100)]);
        assert!(of(9).contains("0.090 | reached"), "{}", of(9));
        assert!(of(10).contains("0.100 | missed"), "{}", of(10));
        assert_eq!(text(&[row("runc", 100)]), "");
    }
}
