//! Two reports side by side: what changed from one commit to another.
//!
//! Our own rows are divided by those of a peer in the same report where there is one, so that a slower machine does
//! not count as a slower commit.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::workspace::read_bytes;

/// Less than this is noise.
const NOISE: f64 = 0.05;

/// A table of our rows: both medians, both ratios to the peer, and the change.
///
/// # Errors
/// When a file cannot be read, or is no report.
pub(super) fn table(old: &Path, new: &Path) -> Result<String, Failure> {
    let (old, new) = (read(old)?, read(new)?);
    let commit = |report: &Value| report["machine"]["commit"].as_str().unwrap_or("?").to_owned();
    let mut text = format!("{} -> {}\n\n", commit(&old), commit(&new));
    let _ = writeln!(text, "| scenario | old us | new us | old/peer | new/peer | change |");
    let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|");
    for row in rows(&new).filter(|row| row["contestant"] == "sluice") {
        let scenario = row["scenario"].as_str().unwrap_or_default();
        if let Some(line) = line(&old, &new, scenario) {
            text.push_str(&line);
        }
    }
    Ok(text)
}

fn line(old: &Value, new: &Value, scenario: &str) -> Option<String> {
    let (before, after) = (median(old, scenario, "sluice")?, median(new, scenario, "sluice")?);
    let peer = |report| {
        ["crun", "runc", "stock+runc", "host"].into_iter().find_map(|name| median(report, scenario, name))
    };
    let (was, is) = (before / peer(old).unwrap_or(before), after / peer(new).unwrap_or(before));
    let change = is / was - 1.0;
    let verdict = match change {
        change if change > NOISE => "slower",
        change if change < -NOISE => "faster",
        _ => "same",
    };
    let percent = change * 100.0;
    Some(format!(
        "| {scenario} | {before:.0} | {after:.0} | {was:.3} | {is:.3} | {percent:+.0} % {verdict} |\n"
    ))
}

fn median(report: &Value, scenario: &str, contestant: &str) -> Option<f64> {
    rows(report).find(|row| row["scenario"] == scenario && row["contestant"] == contestant)?["median"]
        .as_f64()
}

fn rows(report: &Value) -> impl Iterator<Item = &Value> {
    report["rows"].as_array().into_iter().flatten()
}

fn read(path: &Path) -> Result<Value, Failure> {
    serde_json::from_slice(&read_bytes(path)?)
        .map_err(|source| Failure::Answer { program: "cargo xtask bench", source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slower_machine_is_no_slower_commit() {
        let report = |ours: f64, theirs: f64| {
            let row =
                |name: &str, median: f64| json!({"scenario": "exec", "contestant": name, "median": median});
            json!({"rows": [row("sluice", ours), row("crun", theirs)]})
        };
        let verdict = |old: &Value, new: &Value| line(old, new, "exec").unwrap();
        assert!(verdict(&report(10.0, 50.0), &report(20.0, 100.0)).contains("same"));
        assert!(verdict(&report(10.0, 50.0), &report(20.0, 50.0)).contains("slower"));
        assert!(verdict(&report(10.0, 50.0), &report(5.0, 50.0)).contains("faster"));
    }
}
