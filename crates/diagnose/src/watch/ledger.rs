//! What is known to be wrong, so that it is told once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pace::Trouble;
use crate::finding::{Finding, Severity};

/// How often in a row a finding must be missing before it is over: some come and go with every request.
const MISSES: u32 = 2;

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// The finding as it was first seen.
    pub finding: Finding,
    /// When it began, milliseconds after 1970.
    pub onset_ms: u64,
    /// The snapshot from that moment, or a later one when that could not be kept.
    pub snapshot: Option<PathBuf>,
    /// Diagnoses in a row that did not find it.
    #[serde(default)]
    misses: u32,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// Something is wrong from now on.
    Onset {
        /// When it began, milliseconds after 1970.
        onset_ms: u64,
        /// When it was found, milliseconds after 1970.
        found_ms: u64,
        /// The snapshot from that moment.
        snapshot: Option<PathBuf>,
        /// Why there is none.
        not_kept: Option<String>,
        /// What.
        finding: Box<Finding>,
    },
    /// It is over.
    Over {
        /// When it began, milliseconds after 1970.
        onset_ms: u64,
        /// When it was no longer found, milliseconds after 1970.
        over_ms: u64,
        /// Its id.
        id: String,
    },
}

impl Event {
    /// Whether something begins.
    #[must_use]
    pub fn is_onset(&self) -> bool {
        matches!(self, Self::Onset { .. })
    }

    /// Notes where the snapshot of an onset is.
    pub(super) fn seen_in(&mut self, path: &Path) {
        if let Self::Onset { snapshot, .. } = self {
            *snapshot = Some(path.to_owned());
        }
    }

    /// Notes why there is no snapshot of an onset.
    pub(super) fn not_kept(&mut self, why: &str) {
        if let Self::Onset { not_kept, .. } = self {
            *not_kept = Some(why.to_owned());
        }
    }
}

/// Everything that is wrong, by the id of its finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    active: BTreeMap<String, Active>,
}

impl Ledger {
    /// How things stand after these events. A notice is no trouble: it may stay for months.
    pub(super) fn trouble(&self, events: &[Event]) -> Trouble {
        let mut serious = self.active.values().filter(|it| it.finding.severity > Severity::Notice).peekable();
        if serious.peek().is_none() {
            return Trouble::None;
        }
        let is_in_doubt = serious.any(|it| it.misses > 0);
        if is_in_doubt || !events.is_empty() { Trouble::Changed } else { Trouble::Same }
    }

    /// Whether something that the last diagnosis found has no snapshot.
    pub(super) fn lacks_a_snapshot(&self) -> bool {
        self.active.values().any(|it| it.snapshot.is_none() && it.misses == 0)
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Active> {
        self.active.values()
    }

    /// Compares with a new diagnosis: what is new, and what is over.
    pub(super) fn enter(&mut self, found: Vec<(Finding, u64)>, now_ms: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for active in self.active.values_mut() {
            let is_there = found.iter().any(|(finding, _)| finding.id == active.finding.id);
            active.misses = if is_there { 0 } else { active.misses + 1 };
        }
        let over: Vec<String> =
            self.active.iter().filter(|(_, it)| it.misses >= MISSES).map(|(id, _)| id.clone()).collect();
        for id in over {
            if let Some(active) = self.active.remove(&id) {
                events.push(Event::Over { onset_ms: active.onset_ms, over_ms: now_ms, id });
            }
        }
        for (finding, onset_ms) in found {
            if self.active.contains_key(&finding.id) {
                continue;
            }
            let id = finding.id.clone();
            let told = Box::new(finding.clone());
            events.push(Event::Onset {
                onset_ms,
                found_ms: now_ms,
                snapshot: None,
                not_kept: None,
                finding: told,
            });
            self.active.insert(id, Active { finding, onset_ms, snapshot: None, misses: 0 });
        }
        events
    }

    /// Notes where the snapshot of what is new is.
    pub(super) fn seen_in(&mut self, path: &Path) {
        for active in self.active.values_mut().filter(|it| it.snapshot.is_none()) {
            active.snapshot = Some(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &str) -> Finding {
        Finding::new("full_pipe", subject, Severity::Critical, "a pipe is full")
    }

    #[test]
    fn a_finding_is_told_once_and_its_end_once() {
        let mut ledger = Ledger::default();
        let told = ledger.enter(vec![(finding("a"), 5)], 10);
        assert!(matches!(told.as_slice(), [Event::Onset { onset_ms: 5, found_ms: 10, .. }]), "{told:?}");
        assert_eq!(ledger.enter(vec![(finding("a"), 20)], 20), []);
        assert_eq!(ledger.enter(vec![], 30), [], "once missing is not over");
        let over = ledger.enter(vec![], 40);
        assert!(matches!(over.as_slice(), [Event::Over { onset_ms: 5, over_ms: 40, .. }]), "{over:?}");
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn what_comes_back_after_its_end_is_told_again() {
        let mut ledger = Ledger::default();
        for found in [vec![(finding("a"), 1)], vec![], vec![]] {
            ledger.enter(found, 9);
        }
        assert_eq!(ledger.enter(vec![(finding("a"), 50)], 50).len(), 1);
    }
}
