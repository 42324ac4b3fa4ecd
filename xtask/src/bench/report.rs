//! What is written down: a table on the terminal, Markdown, JSON, three charts.

mod chart;
mod goals;
mod json;
mod markdown;
mod plot;
mod probes;
mod table;

use std::path::Path;

use crate::bench::Findings;
use crate::bench::contestant::Contestant;
use crate::bench::lab::write_file;
use crate::bench::options::Options;
use crate::failure::Failure;
use crate::workspace::Workspace;

/// The machine, as pairs of a word and what it is.
type Machine = [(&'static str, String)];

/// Writes the report and prints its table.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(
    workspace: &Workspace,
    options: &Options,
    machine: &Machine,
    contestants: &[Contestant],
    findings: &Findings,
) -> Result<(), Failure> {
    print!("{}{}", table::text(&findings.rows), goals::text(&findings.rows, &findings.facts));
    let folder = workspace.root.join(&options.out);
    std::fs::create_dir_all(&folder).map_err(|source| Failure::File {
        operation: "make",
        path: folder.clone(),
        source,
    })?;
    let file = |name: &str, text: &str| put(&folder.join(name), text);
    file("results.json", &format!("{:#}\n", json::of(machine, contestants, findings)))?;
    file("results.svg", &chart::svg(&findings.rows))?;
    if !findings.crowd.is_empty() {
        file("crowd.svg", &plot::svg(&findings.crowd))?;
    }
    if !findings.load.is_empty() {
        file("probes.svg", &probes::svg(&findings.load))?;
    }
    file("results.md", &markdown::text(machine, contestants, findings))?;
    println!("\nwritten to {}", folder.display());
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    write_file(path, text.as_bytes(), 0o644).map_err(|source| Failure::File {
        operation: "write",
        path: path.to_owned(),
        source,
    })
}

/// Scenarios in the order in which they first appear.
fn scenarios(rows: &[super::sample::Result]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.scenario.as_str()) {
            names.push(&row.scenario);
        }
    }
    names
}

/// Our own time in the same scenario, divided by a row's.
fn ratio(rows: &[super::sample::Result], row: &super::sample::Result) -> Option<f64> {
    let is_ours =
        |other: &&super::sample::Result| other.scenario == row.scenario && other.contestant == "sluice";
    let ours = rows.iter().find(is_ours).filter(|_| row.contestant != "sluice" && row.median > 0.0)?;
    Some(ours.median / row.median)
}
