//! Watching a node: cheap looks all the time, a whole snapshot when something is suspicious.
//!
//! A suspicion is looked into at once, and again after pauses that double while it stays; every few minutes a snapshot
//! is taken without one. A finding is told once, with its onset, and once more when it is over.
//!
//! ```text
//!   every 2 s      look (one child, some milliseconds) --> suspicions --> due? --> snapshot --> findings
//!                                                                                                 |
//!                                       told once, snapshot kept, metrics written  <--- ledger <--'
//! ```

mod kept;
mod ledger;
mod metrics;
pub mod suspicion;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::look::{Eyes, Look};
use crate::finding::Finding;
use crate::{Result, Snapshot, Source};
use suspicion::{Suspicion, suspicions};

pub use ledger::{Active, Event};
pub use metrics::Metrics;

/// How long between two looks.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// The first pause before the same suspicion is looked into again, and the longest.
const FIRST_PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 300_000;

/// A snapshot without a suspicion, for what a look cannot see.
const ROUTINE_MS: u64 = 300_000;

/// While something is wrong: how often it is asked whether it still is.
const RECHECK_MS: u64 = 30_000;

/// The least time between two snapshots, whatever happens.
const BREATH_MS: u64 = 3_000;

/// What a watch keeps in mind.
#[derive(Debug)]
pub struct Watch {
    eyes: Eyes,
    before: Option<Look>,
    suspects: BTreeMap<String, Suspect>,
    last_snapshot_ms: Option<u64>,
    ledger: ledger::Ledger,
    kept: kept::Kept,
    metrics_file: Option<PathBuf>,
    metrics: Metrics,
}

/// A suspicion that stays.
#[derive(Debug, Clone)]
struct Suspect {
    pid: Option<i32>,
    since_ms: u64,
    due_ms: u64,
    pause_ms: u64,
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
            suspects: BTreeMap::new(),
            last_snapshot_ms: None,
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
        let due = self.note(&found, now_ms);
        let events = if due || self.is_time(now_ms) { self.snapshot(now_ms)? } else { Vec::new() };
        self.metrics.of(&self.ledger);
        if let Some(path) = &self.metrics_file {
            kept::replace(path, self.metrics.text().as_bytes())?;
        }
        Ok(events)
    }

    /// Keeps the list of suspects; whether one of them is due.
    fn note(&mut self, found: &[Suspicion], now_ms: u64) -> bool {
        self.suspects.retain(|key, _| found.iter().any(|it| it.key == *key));
        for suspicion in found {
            self.suspects.entry(suspicion.key.clone()).or_insert_with(|| Suspect {
                pid: suspicion.pid,
                since_ms: now_ms,
                due_ms: now_ms,
                pause_ms: FIRST_PAUSE_MS,
            });
        }
        self.suspects.values().any(|suspect| suspect.due_ms <= now_ms) && self.breath(now_ms, BREATH_MS)
    }

    fn is_time(&self, now_ms: u64) -> bool {
        self.breath(now_ms, if self.ledger.is_empty() { ROUTINE_MS } else { RECHECK_MS })
    }

    fn breath(&self, now_ms: u64, pause_ms: u64) -> bool {
        self.last_snapshot_ms.is_none_or(|last| now_ms.saturating_sub(last) >= pause_ms)
    }

    fn snapshot(&mut self, now_ms: u64) -> Result<Vec<Event>> {
        self.last_snapshot_ms = Some(now_ms);
        for suspect in self.suspects.values_mut().filter(|suspect| suspect.due_ms <= now_ms) {
            suspect.due_ms = now_ms + suspect.pause_ms;
            suspect.pause_ms = (suspect.pause_ms * 2).min(LONGEST_PAUSE_MS);
        }
        let (snapshot, diagnosis) = crate::diagnose::observe(&Source::Live)?;
        self.metrics.snapshots += 1;
        self.metrics.snapshot_ms = snapshot.taken.duration_ms;
        let since = |finding: &Finding| self.onset_ms(finding, &snapshot, now_ms);
        let onsets: Vec<(Finding, u64)> =
            diagnosis.findings.iter().map(|finding| (finding.clone(), since(finding))).collect();
        let mut events = self.ledger.enter(onsets, snapshot.taken.at_ms);
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
        let first = self.suspects.values().filter(|it| it.pid.is_some() && it.pid == pid);
        let since_ms = first.map(|it| it.since_ms).min().unwrap_or(now_ms);
        snapshot.taken.at_ms.saturating_sub(now_ms.saturating_sub(since_ms))
    }
}
