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
use crate::finding::Finding;
use crate::{Result, Snapshot, Source};
use pace::Pace;
use suspicion::suspicions;

pub use ledger::{Active, Event};
pub use metrics::Metrics;

/// How long between two looks.
pub const INTERVAL: Duration = Duration::from_secs(3);

/// What a watch keeps in mind.
#[derive(Debug)]
pub struct Watch {
    eyes: Eyes,
    before: Option<Look>,
    pace: Pace,
    ledger: ledger::Ledger,
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
            kept,
            metrics_file: metrics.map(Path::to_owned),
            metrics: Metrics::default(),
        })
    }

    /// One round: a look, and a snapshot if it is worth it. What begins and what is over is returned.
    ///
    /// # Errors
    /// When a snapshot cannot be taken, or what is to be kept cannot be written; the next round goes on.
    pub fn round(&mut self) -> Result<Vec<Event>> {
        let now = self.eyes.look();
        let found = suspicions(self.before.as_ref().unwrap_or(&now), &now);
        self.metrics.looks += 1;
        self.metrics.suspicions = found.len() as u64;
        let now_ms = now.since_boot_ms;
        self.before = Some(now);
        let events = if self.pace.note(&found, now_ms) { self.snapshot(now_ms)? } else { Vec::new() };
        self.metrics.of(&self.ledger);
        if let Some(path) = &self.metrics_file {
            kept::replace(path, self.metrics.text().as_bytes())?;
        }
        Ok(events)
    }

    fn snapshot(&mut self, now_ms: u64) -> Result<Vec<Event>> {
        // Noted before it is taken: one that fails is not taken again and again.
        self.pace.taken(now_ms);
        let (snapshot, diagnosis) = crate::diagnose::observe(&Source::Live, |_| ())?;
        self.eyes.learn(&snapshot);
        self.metrics.snapshots += 1;
        self.metrics.snapshot_ms = snapshot.taken.duration_ms;
        let since = |finding: &Finding| self.onset_ms(finding, &snapshot, now_ms);
        let onsets: Vec<(Finding, u64)> =
            diagnosis.findings.iter().map(|finding| (finding.clone(), since(finding))).collect();
        let mut events = self.ledger.enter(onsets, snapshot.taken.at_ms);
        self.pace.learnt(self.ledger.trouble(&events));
        if events.iter().any(|event| event.is_onset()) {
            let path = self.kept.keep(&snapshot)?;
            events.iter_mut().for_each(|event| event.seen_in(&path));
            self.ledger.seen_in(&path);
        }
        if !events.is_empty() {
            self.kept.write(&self.ledger)?;
        }
        Ok(events)
    }

    /// When it began, milliseconds after 1970: when its blocker was first suspected, else now.
    fn onset_ms(&self, finding: &Finding, snapshot: &Snapshot, now_ms: u64) -> u64 {
        let pid = finding.blocker.as_ref().and_then(|blocker| blocker.pid);
        let since_ms = pid.and_then(|pid| self.pace.since_ms(pid)).unwrap_or(now_ms);
        snapshot.taken.at_ms.saturating_sub(now_ms.saturating_sub(since_ms))
    }
}
