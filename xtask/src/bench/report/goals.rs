//! The ratios that the runtime is meant to reach, beside those that were measured.

use std::fmt::Write as _;

use crate::bench::fact::Fact;
use crate::bench::filter::LIBSECCOMP;
use crate::bench::sample::Result as Measured;
use crate::bench::shim::SHIM_MEMORY;

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
const GOALS: [Goal; 20] = [
    ("exec, back to back", "crun", Of::Time, 0.30),
    ("exec, back to back", "runc", Of::Time, 0.05),
    ("exec, back to back", "crun", Of::Cpu, 0.25),
    ("exec, one per 100 ms", "crun", Of::Time, 0.12),
    ("exec, one per 100 ms", "runc", Of::Time, 0.05),
    ("exec, 4 at once", "crun", Of::Pace, 0.25),
    ("exec by library call, back to back", "crun", Of::Time, 0.10),
    ("exec by library call, back to back", "runc", Of::Time, 0.015),
    ("exec by library call, back to back", "host", Of::Time, 4.0),
    ("exec over the shim's socket, back to back", "crun", Of::Time, 0.15),
    ("exec over the shim's socket, back to back", "runc", Of::Time, 0.03),
    ("exec over the shim's socket, back to back", "crun", Of::Cpu, 0.12),
    ("exec over the shim's socket, back to back", "runc", Of::Cpu, 0.02),
    ("exec over the shim's socket, one per 100 ms", "crun", Of::Time, 0.10),
    ("exec over the shim's socket, one per 100 ms", "runc", Of::Time, 0.04),
    ("ctr tasks exec, back to back", "stock+runc", Of::Time, 0.40),
    ("run, back to back", "crun", Of::Time, 0.12),
    ("run, back to back", "runc", Of::Time, 0.09),
    ("create + start + delete", "runc", Of::Time, 0.10),
    ("loading the seccomp profile", LIBSECCOMP, Of::Time, 0.25),
];

/// Of ours alone: what was counted, and the most that it may be, in the fact's unit.
const MOST: [(&str, f64); 1] = [(SHIM_MEMORY, 300.0)];

/// One line for each goal whose scenario was measured.
pub(super) fn text(rows: &[Measured], facts: &[Fact]) -> String {
    let mut lines: String = GOALS.iter().filter_map(|goal| line(rows, goal)).collect();
    lines.extend(MOST.iter().filter_map(|most| line_of_fact(facts, most)));
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

fn line_of_fact(facts: &[Fact], (what, most): &(&str, f64)) -> Option<String> {
    let Fact { value, unit, .. } =
        facts.iter().find(|fact| fact.what == *what && fact.contestant == "sluice")?;
    let verdict = if value <= most { "reached" } else { "missed" };
    Some(format!("| {what} | - | {unit} | {most} | {value:.0} | {verdict} |\n"))
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
        let of = |ours| text(&[row("sluice", ours), row("runc", 100)], &[]);
        assert!(of(9).contains("0.090 | reached"), "{}", of(9));
        assert!(of(10).contains("0.100 | missed"), "{}", of(10));
        assert_eq!(text(&[row("runc", 100)], &[]), "");
        let memory = Fact::new(SHIM_MEMORY, "sluice", 301.0, "KB");
        assert!(text(&[], &[memory]).contains("| KB | 300 | 301 | missed |"));
    }
}
