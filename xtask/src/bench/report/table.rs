//! The rows as a table of text, which is also valid Markdown.

use std::fmt::Write as _;

use crate::bench::report::{ratio, scenarios};
use crate::bench::sample::Result as Measured;

/// One table for each scenario.
pub(super) fn text(rows: &[Measured]) -> String {
    let mut text = String::new();
    for scenario in scenarios(rows) {
        let _ = writeln!(text, "\n### {scenario}\n");
        let _ = writeln!(
            text,
            "| {:<12} | {:>9} | {:>9} | {:>9} | {:>9} | {:>7} | {:>8} | {:>7} | {:>8} |",
            "", "median us", "best us", "p99 us", "cpu us", "faults", "syscalls", "calls/s", "sluice/x"
        );
        let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for row in rows.iter().filter(|row| row.scenario == scenario) {
            text.push_str(&line(rows, row));
        }
    }
    text
}

fn line(rows: &[Measured], row: &Measured) -> String {
    let whole = |value: f64| if value > 0.0 { format!("{value:.0}") } else { "-".to_owned() };
    let syscalls = row.syscalls.map_or("-".to_owned(), |count| count.to_string());
    let throughput = row.throughput.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
    let ratio = ratio(rows, row).map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    format!(
        "| {:<12} | {:>9} | {:>9} | {:>9} | {:>9} | {:>7} | {syscalls:>8} | {throughput:>7} | {ratio:>8} |\n",
        row.contestant,
        whole(row.median),
        whole(row.best),
        whole(row.p99),
        whole(row.cpu),
        whole(row.faults),
    )
}
