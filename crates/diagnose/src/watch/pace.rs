//! When a whole snapshot is worth its price. Pure.
//!
//! **Invariant:** what stays as it is costs ever less: the pause of a suspicion doubles whenever a snapshot was due for
//! it, as it does for findings of which nothing changes. Each snapshot looks into all of them, so that every pause
//! begins anew with it, but a snapshot that was taken for another reason lengthens none.

use std::collections::BTreeMap;

use super::suspicion::Suspicion;

/// The first pause before the same suspicion is looked into again, and the longest. Milliseconds.
const FIRST_PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 300_000;

/// A snapshot without a suspicion, for what a look cannot see. Milliseconds.
const ROUTINE_MS: u64 = 300_000;

/// While something is wrong: how soon it is first asked whether it still is. Milliseconds.
const RECHECK_MS: u64 = 20_000;

/// The least time between two snapshots, whatever happens. Milliseconds.
const BREATH_MS: u64 = 3_000;

/// What is known to be wrong, as far as the pace goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing above a notice.
    None,
    /// The same as at the snapshot before.
    Same,
    /// Something has begun, or may be over.
    Changed,
}

/// Suspicions that stay, and the time of the last snapshot.
#[derive(Debug)]
pub(super) struct Pace {
    suspects: BTreeMap<String, Suspect>,
    last_ms: Option<u64>,
    trouble: Trouble,
    /// Until the next snapshot without a new suspicion.
    pause_ms: u64,
}

#[derive(Debug, Clone)]
struct Suspect {
    pid: Option<i32>,
    since_ms: u64,
    due_ms: u64,
    /// From a snapshot to the next one that is due for it; 0 before the first.
    pause_ms: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { suspects: BTreeMap::new(), last_ms: None, trouble: Trouble::None, pause_ms: ROUTINE_MS }
    }

    /// Takes over what a look found suspicious; whether a snapshot is due.
    pub(super) fn note(&mut self, found: &[Suspicion], now_ms: u64) -> bool {
        let before = self.suspects.len();
        self.suspects.retain(|key, _| found.iter().any(|it| it.key == *key));
        // While something is wrong, an end is as good a reason as a beginning.
        if self.suspects.len() < before && self.trouble != Trouble::None {
            self.pause_ms = self.pause_ms.min(RECHECK_MS);
        }
        for suspicion in found {
            self.suspects.entry(suspicion.key.clone()).or_insert_with(|| Suspect {
                pid: suspicion.pid,
                since_ms: now_ms,
                due_ms: now_ms,
                pause_ms: 0,
            });
        }
        let is_suspicious = self.suspects.values().any(|suspect| suspect.due_ms <= now_ms);
        is_suspicious && self.has_been(BREATH_MS, now_ms) || self.has_been(self.pause_ms, now_ms)
    }

    fn has_been(&self, pause_ms: u64, now_ms: u64) -> bool {
        self.last_ms.is_none_or(|last| now_ms.saturating_sub(last) >= pause_ms)
    }

    /// A snapshot is taken, which looks into everything.
    pub(super) fn taken(&mut self, now_ms: u64) {
        self.last_ms = Some(now_ms);
        for suspect in self.suspects.values_mut() {
            if suspect.due_ms <= now_ms {
                suspect.pause_ms = (suspect.pause_ms * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
            }
            suspect.due_ms = now_ms + suspect.pause_ms;
        }
    }

    /// What came of it.
    pub(super) fn learnt(&mut self, trouble: Trouble) {
        self.trouble = trouble;
        self.pause_ms = match trouble {
            Trouble::None => ROUTINE_MS,
            Trouble::Same => (self.pause_ms * 2).min(ROUTINE_MS),
            Trouble::Changed => RECHECK_MS,
        };
    }

    /// Since when a process has been suspected, in milliseconds after boot.
    pub(super) fn since_ms(&self, pid: i32) -> Option<u64> {
        self.suspects.values().filter(|it| it.pid == Some(pid)).map(|it| it.since_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_MS: u64 = 3_000;

    fn suspicion(key: &str) -> Suspicion {
        Suspicion { key: key.to_owned(), pid: Some(7) }
    }

    /// Snapshots during a time in which every look finds the same.
    fn snapshots(
        pace: &mut Pace,
        found: &[Suspicion],
        trouble: Trouble,
        times: std::ops::Range<u64>,
    ) -> Vec<u64> {
        let mut taken = Vec::new();
        for now_ms in times.step_by(usize::try_from(PERIOD_MS).unwrap()) {
            if pace.note(found, now_ms) {
                taken.push(now_ms);
                pace.taken(now_ms);
                pace.learnt(trouble);
            }
        }
        taken
    }

    #[test]
    fn a_quiet_node_is_snapped_every_five_minutes() {
        let taken = snapshots(&mut Pace::new(), &[], Trouble::None, 0..1_000_000);
        assert_eq!(taken, [0, 300_000, 600_000, 900_000]);
    }

    #[test]
    fn a_new_suspicion_is_looked_into_at_once() {
        let mut pace = Pace::new();
        snapshots(&mut pace, &[], Trouble::None, 0..30_000);
        assert!(pace.note(&[suspicion("a")], 30_000));
        pace.taken(30_000);
        assert_eq!(pace.since_ms(7), Some(30_000));
        assert!(pace.note(&[suspicion("a"), suspicion("b")], 33_000));
    }

    #[test]
    fn many_suspicions_that_stay_cost_no_more_than_one() {
        let one = snapshots(&mut Pace::new(), &[suspicion("a")], Trouble::None, 0..3_000_000);
        let keys: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let many: Vec<Suspicion> = keys.iter().map(|key| suspicion(key)).collect();
        assert_eq!(snapshots(&mut Pace::new(), &many, Trouble::None, 0..3_000_000), one);
        assert!(one.len() < 20, "{one:?}");
    }

    #[test]
    fn other_suspicions_do_not_put_off_one_that_stays() {
        let mut pace = Pace::new();
        let mut looked_into = Vec::new();
        for now_ms in (0..60_000).step_by(usize::try_from(PERIOD_MS).unwrap()) {
            // Something new at every look, beside a runtime that hangs.
            if pace.note(&[suspicion("runtime"), suspicion(&now_ms.to_string())], now_ms) {
                pace.taken(now_ms);
                pace.learnt(Trouble::None);
                looked_into.push(now_ms);
            }
        }
        assert_eq!(looked_into.len(), 20, "each is new: {looked_into:?}");
        // Now the runtime alone stays: it is looked into as soon as if it had been alone all the time.
        let times = 60_000..400_000;
        let first = snapshots(&mut pace, &[suspicion("runtime")], Trouble::None, times)[0];
        assert!(first <= 60_000 + 2 * PERIOD_MS, "{first}");
    }

    #[test]
    fn suspicions_that_began_one_after_the_other_cost_no_more_than_one() {
        let mut pace = Pace::new();
        let mut stay = Vec::new();
        for number in 0..50_u64 {
            stay.push(suspicion(&number.to_string()));
            snapshots(&mut pace, &stay, Trouble::None, number * 9_000..(number + 1) * 9_000);
        }
        let many = snapshots(&mut pace, &stay, Trouble::None, 450_000..3_450_000);
        assert!(many.len() < 20, "{many:?}");
    }

    #[test]
    fn trouble_is_asked_after_ever_more_rarely_until_it_changes() {
        let mut pace = Pace::new();
        pace.taken(0);
        pace.learnt(Trouble::Changed);
        let taken = snapshots(&mut pace, &[], Trouble::Same, 3_000..1_000_000);
        assert_eq!(taken[..3], [21_000, 63_000, 144_000]);
        let last = *taken.last().unwrap();
        pace.learnt(Trouble::Changed);
        assert!(pace.note(&[], last + RECHECK_MS));
    }
}
