//! What a watch tells Prometheus: a file in the text format, for the textfile collector of the node exporter.
//!
//! Source: prometheus.io/docs/instrumenting/exposition_formats. Why a file: docs/decisions.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::ledger::Ledger;
use crate::finding::Severity;

/// Numbers since the watch began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Cheap looks.
    pub looks: u64,
    /// Whole snapshots.
    pub snapshots: u64,
    /// Suspicions at the last look.
    pub suspicions: u64,
    /// Duration of the last snapshot, milliseconds.
    pub snapshot_ms: u64,
    /// Findings that are active and have no snapshot.
    pub not_kept: u64,
    /// Reasons why processes were not seen at all by the last snapshot.
    pub out_of_sight: u64,
    /// Findings that are active, by rule and severity; a rule that was active once stays with 0.
    active: BTreeMap<(String, Severity), u64>,
}

impl Metrics {
    /// Takes over what is active.
    pub(super) fn of(&mut self, ledger: &Ledger) {
        self.active.values_mut().for_each(|count| *count = 0);
        for active in ledger.active() {
            let key = (active.finding.rule.clone(), active.finding.severity);
            *self.active.entry(key).or_default() += 1;
        }
        self.not_kept = ledger.active().filter(|it| it.snapshot.is_none()).count() as u64;
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let seconds = format!("{}.{:03}", self.snapshot_ms / 1000, self.snapshot_ms % 1000);
        let rows: [(&str, &str, &str, String); 6] = [
            ("looks_total", "counter", "Cheap looks at the node.", self.looks.to_string()),
            ("snapshots_total", "counter", "Whole snapshots taken.", self.snapshots.to_string()),
            ("suspicions", "gauge", "Reasons for a snapshot at the last look.", self.suspicions.to_string()),
            (
                "not_kept",
                "gauge",
                "Active findings whose snapshot could not be kept.",
                self.not_kept.to_string(),
            ),
            (
                "out_of_sight",
                "gauge",
                "Reasons why processes of the node are not seen: another pid namespace, hidepid.",
                self.out_of_sight.to_string(),
            ),
            ("snapshot_seconds", "gauge", "How long the last snapshot took.", seconds),
        ];
        for (name, kind, help, value) in rows {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "sluice_doctor_{name} {value}");
        }
        head(&mut text, "findings", "gauge", "Findings that are active now.");
        for ((rule, severity), count) in &self.active {
            // A rule's name is that of a file of this program: nothing in it needs escaping.
            let _ =
                writeln!(text, "sluice_doctor_findings{{rule=\"{rule}\",severity=\"{severity}\"}} {count}");
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP sluice_doctor_{name} {help}\n# TYPE sluice_doctor_{name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    #[test]
    fn a_rule_that_is_over_stays_with_nought() {
        let mut ledger = Ledger::default();
        let mut metrics = Metrics { snapshot_ms: 1042, ..Metrics::default() };
        ledger.enter(vec![(Finding::new("full_pipe", "x", Severity::Critical, "t"), 1)], 1);
        metrics.of(&ledger);
        let text = metrics.text();
        assert!(
            text.contains("sluice_doctor_findings{rule=\"full_pipe\",severity=\"critical\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("sluice_doctor_snapshot_seconds 1.042\n"), "{text}");
        metrics.of(&Ledger::default());
        assert!(metrics.text().contains("severity=\"critical\"} 0\n"));
    }
}
