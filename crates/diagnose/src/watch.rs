//! Watching a node: cheap looks all the time, a whole snapshot when something is suspicious.
//!
//! A suspicion is looked into at once, and again after pauses that double while it stays; every few minutes a snapshot
//! is taken without one. A finding is told once, with its onset, and once more when it is over.
//!
//! ```text
//!   every 3 s      look (one child, some milliseconds) --> suspicions --> due? --> snapshot --> findings
//!                                                                                                 |
//!                                       told once, snapshot kept, metrics written  <--- ledger <--'
//! ```

mod kept;
mod ledger;
mod metrics;
mod pace;
pub mod suspicion;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::look::{Eyes, Look};
use crate::diagnose::unseen;
use crate::finding::Finding;
use crate::{Error, Result, Snapshot, Source};
use ledger::Ledger;
use pace::Pace;
use suspicion::suspicions;

pub use ledger::{Active, Event};
pub use metrics::Metrics;

/// How long between two looks.
pub const INTERVAL: Duration = Duration::from_secs(3);

/// What a round brings.
#[derive(Debug, Default)]
pub struct Round {
    /// What begins and what is over.
    pub events: Vec<Event>,
    /// What could not be done: a snapshot, or what was to be kept.
    pub errors: Vec<Error>,
    /// Who is out of sight, when that is not what it was before.
    pub hidden: Vec<String>,
}

/// What a watch keeps in mind.
#[derive(Debug)]
pub struct Watch {
    eyes: Eyes,
    before: Option<Look>,
    pace: Pace,
    ledger: Ledger,
    /// Who was out of sight of the last snapshot.
    hidden: Vec<String>,
    /// Whether the folder does not have the ledger as it is now.
    is_unwritten: bool,
    kept: kept::Kept,
    metrics_file: Option<PathBuf>,
    metrics: Metrics,
}

impl Watch {
    /// Begins to watch. `folder` keeps snapshots and what is known to be wrong; `metrics` is a file for Prometheus.
    ///
    /// # Errors
    /// When `/` cannot be opened or the folder cannot be made.
    pub fn begin(folder: &Path, metrics: Option<&Path>) -> Result<Self> {
        let kept = kept::Kept::open(folder)?;
        Ok(Self {
            eyes: Eyes::open()?,
            before: None,
            pace: Pace::new(),
            ledger: kept.ledger(),
            hidden: Vec::new(),
            is_unwritten: false,
            kept,
            metrics_file: metrics.map(Path::to_owned),
            metrics: Metrics::default(),
        })
    }

    /// One round: a look, and a snapshot if it is worth it. What fails does not hold up what is to be told.
    pub fn round(&mut self) -> Round {
        let mut round = Round::default();
        let now = self.eyes.look();
        let found = suspicions(self.before.as_ref().unwrap_or(&now), &now);
        self.metrics.looks += 1;
        self.metrics.suspicions = found.len() as u64;
        let now_ms = now.since_boot_ms;
        self.before = Some(now);
        if self.pace.note(&found, now_ms) {
            let taken = self.snapshot(now_ms, &mut round);
            round.errors.extend(taken.err());
        }
        self.metrics.of(&self.ledger);
        if let Some(path) = &self.metrics_file {
            round.errors.extend(kept::refresh(path, self.metrics.text().as_bytes()).err());
        }
        if self.is_unwritten {
            let written = self.kept.write(&self.ledger);
            self.is_unwritten = written.is_err();
            round.errors.extend(written.err());
        }
        round
    }

    fn snapshot(&mut self, now_ms: u64, round: &mut Round) -> Result<()> {
        // Noted before it is taken: one that fails is not taken again and again.
        self.pace.taken(now_ms);
        let (snapshot, diagnosis) = crate::diagnose::observe(&Source::Live, |_| ())?;
        self.eyes.learn(&snapshot);
        self.metrics.snapshots += 1;
        self.metrics.snapshot_ms = snapshot.taken.duration_ms;
        let hidden = unseen::hidden(&snapshot);
        self.metrics.out_of_sight = hidden.len() as u64;
        if hidden != self.hidden {
            self.hidden.clone_from(&hidden);
            round.hidden = hidden;
        }
        let since = |finding: &Finding| self.onset_ms(finding, &snapshot, now_ms);
        let onsets: Vec<(Finding, u64)> =
            diagnosis.findings.iter().map(|finding| (finding.clone(), since(finding))).collect();
        round.events = self.ledger.enter(onsets, snapshot.taken.at_ms);
        self.pace.learnt(self.ledger.trouble(&round.events));
        self.is_unwritten |= !round.events.is_empty();
        if self.ledger.lacks_a_snapshot() {
            let kept = keep(&self.kept, &snapshot, &mut self.ledger, &mut round.events);
            self.is_unwritten |= kept.is_ok();
            round.errors.extend(kept.err());
        }
        Ok(())
    }

    /// When it began, milliseconds after 1970: when its blocker was first suspected, else now.
    fn onset_ms(&self, finding: &Finding, snapshot: &Snapshot, now_ms: u64) -> u64 {
        let pid = finding.blocker.as_ref().and_then(|blocker| blocker.pid);
        let since_ms = pid.and_then(|pid| self.pace.since_ms(pid)).unwrap_or(now_ms);
        snapshot.taken.at_ms.saturating_sub(now_ms.saturating_sub(since_ms))
    }
}

/// Keeps a snapshot for what has none. Where that fails the events say so, and the next snapshot is tried.
fn keep(kept: &kept::Kept, snapshot: &Snapshot, ledger: &mut Ledger, events: &mut [Event]) -> Result<()> {
    match kept.keep(snapshot) {
        Ok(path) => {
            events.iter_mut().for_each(|event| event.seen_in(&path));
            ledger.seen_in(&path);
            Ok(())
        }
        Err(error) => {
            let why = error.with_causes();
            events.iter_mut().for_each(|event| event.not_kept(&why));
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    fn onset(events: &[Event]) -> (Option<PathBuf>, Option<String>) {
        match events {
            [Event::Onset { snapshot, not_kept, .. }] => (snapshot.clone(), not_kept.clone()),
            other => panic!("no onset: {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_kept_is_told_and_kept_later() {
        let lab = tempfile::tempdir().unwrap();
        let folder = lab.path().join("state");
        let kept = kept::Kept::open(&folder).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        let mut ledger = Ledger::default();
        let finding = Finding::new("full_pipe", "a", Severity::Critical, "a pipe is full");
        let mut events = ledger.enter(vec![(finding.clone(), 1)], 1);
        keep(&kept, &Snapshot::default(), &mut ledger, &mut events).unwrap_err();
        let (snapshot, why) = onset(&events);
        assert_eq!(snapshot, None);
        assert!(why.is_some_and(|why| why.contains("No such file")), "{events:?}");

        std::fs::create_dir(&folder).unwrap();
        assert_eq!(ledger.enter(vec![(finding, 1)], 2), []);
        assert!(ledger.lacks_a_snapshot());
        keep(&kept, &Snapshot::default(), &mut ledger, &mut []).unwrap();
        assert!(!ledger.lacks_a_snapshot());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}
