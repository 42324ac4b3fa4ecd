//! Records on their way to a journal: noted in memory by anybody, written by a worker.
//!
//! ```text
//!     note  -->  waiting  -->  one worker at a time  -->  BUNDLE/sluice.journal
//!                                     |
//!                                  written: how many, for who must not go on before
//! ```
//!
//! Where the bundle is in memory, as below `/run`, no disk can stall: who notes may write at once, and an exec's exit needs no
//! second thread.
//!
//! **Invariant:** noting never sleeps. A disk that stalls holds one thread per journal, whatever is noted meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Journal, Record};

/// How long who must not go on before a record is written waits for it. A disk that takes longer costs the truth after a
/// crash, and nothing else.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many records may wait for a disk; what comes then is not written.
const MOST: usize = 10_000;

/// The way of records to one journal.
#[derive(Debug)]
pub struct Writer {
    desk: Mutex<Desk>,
    /// How many records are done with.
    done: watch::Sender<u64>,
    /// What it writes to is memory.
    in_memory: AtomicBool,
}

#[derive(Debug, Default)]
struct Desk {
    /// Taken by who writes; none before it is kept.
    journal: Option<Journal>,
    waiting: Vec<Record>,
    /// How many were noted ever.
    noted: u64,
    /// There will be no journal.
    lost: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self { desk: Mutex::default(), done: watch::Sender::new(0), in_memory: AtomicBool::new(false) }
    }
}

impl Writer {
    /// Begins to write to a journal.
    pub fn keep(&self, journal: Journal) {
        self.in_memory.store(journal.is_in_memory(), Ordering::Relaxed);
        self.give_back(journal);
    }

    /// Whether [`Writer::write`] waits for no disk.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory.load(Ordering::Relaxed)
    }

    /// There is no journal to write to, nor will there be: what was noted is done with, and so is what will be. Who is
    /// about to write stops before the next record.
    pub fn lose(&self) {
        let mut desk = self.desk();
        desk.lost = true;
        desk.journal = None;
        desk.waiting = Vec::new();
        self.done_with(desk.noted);
    }

    /// Leaves a record to be written; gives its number.
    pub fn note(&self, record: Record) -> u64 {
        let mut desk = self.desk();
        desk.noted += 1;
        if desk.lost {
            self.done_with(desk.noted);
        } else if desk.waiting.len() < MOST {
            desk.waiting.push(record);
        }
        desk.noted
    }

    /// Writes what waits, unless somebody does. May sleep in the kernel.
    pub fn write(&self) {
        while let Some(batch) = self.take() {
            batch.write();
        }
    }

    /// Whether something waits to be written.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.desk().waiting.is_empty()
    }

    /// Waits until a record is written, for a second at most; tells whether it was.
    pub async fn written(&self, number: u64) -> bool {
        let mut done = self.done.subscribe();
        tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= number)).await.is_ok()
    }

    fn take(&self) -> Option<Batch<'_>> {
        let mut desk = self.desk();
        if desk.waiting.is_empty() {
            return None;
        }
        let journal = desk.journal.take()?;
        let records = std::mem::take(&mut desk.waiting);
        Some(Batch { writer: self, journal: Some(journal), records, last: desk.noted })
    }

    fn give_back(&self, journal: Journal) {
        let mut desk = self.desk();
        if !desk.lost {
            desk.journal = Some(journal);
        }
    }

    /// Never goes back: who was overtaken has less to tell.
    fn done_with(&self, number: u64) {
        self.done.send_modify(|done| *done = number.max(*done));
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal in the hands of who writes, and what is to be written; given back when dropped, after a panic, too.
#[derive(Debug)]
struct Batch<'a> {
    writer: &'a Writer,
    /// Always there until it is dropped.
    journal: Option<Journal>,
    records: Vec<Record>,
    /// The number of the last record.
    last: u64,
}

impl Batch<'_> {
    fn write(mut self) {
        for record in std::mem::take(&mut self.records) {
            // The disk can take so long that the container is another one by now.
            if self.writer.desk().lost {
                return;
            }
            let written = self.journal.as_mut().map(|journal| journal.append(&record));
            // Only a crash would miss it.
            if let Some(Err(error)) = written {
                log::warn!("{}", container::chain(&error));
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // First this: the next writer is done with more.
        self.writer.done_with(self.last);
        if let Some(journal) = self.journal.take() {
            self.writer.give_back(journal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read;

    fn told(exec: &str) -> Record {
        Record::Started { exec: exec.to_owned(), pid: 1, start_time: 1 }
    }

    fn wait(future: impl Future<Output = bool>) -> bool {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// A writer that keeps the journal of a bundle.
    fn keeping(bundle: &tempfile::TempDir) -> Writer {
        let writer = Writer::default();
        writer.keep(Journal::open(bundle.path()).unwrap());
        writer
    }

    #[test]
    fn what_was_noted_is_written_in_its_order_by_whoever_comes() {
        let bundle = tempfile::tempdir().unwrap();
        let writer = Writer::default();
        writer.note(told("early"));
        writer.keep(Journal::open(bundle.path()).unwrap());
        let last = writer.note(told("late"));
        assert!(!wait(writer.written(last)), "nobody has written");
        writer.write();
        assert!(wait(writer.written(last)));
        let ledger = read(bundle.path()).unwrap();
        assert_eq!(ledger.processes.keys().collect::<Vec<_>>(), ["early", "late"]);
    }

    #[test]
    fn one_writes_and_the_others_leave_theirs_to_it() {
        let bundle = tempfile::tempdir().unwrap();
        let writer = keeping(&bundle);
        writer.note(told("first"));
        let batch = writer.take().expect("something waits");
        writer.note(told("second"));
        // Somebody has the journal: this comes back at once.
        writer.write();
        assert!(read(bundle.path()).unwrap().processes.is_empty());
        batch.write();
        writer.write();
        assert_eq!(read(bundle.path()).unwrap().processes.keys().collect::<Vec<_>>(), ["first", "second"]);
    }

    #[test]
    fn who_was_overtaken_takes_nothing_back() {
        let bundle = tempfile::tempdir().unwrap();
        let writer = keeping(&bundle);
        writer.note(told("first"));
        let mut slow = writer.take().expect("something waits");
        let last = writer.note(told("second"));
        // It has given the journal back and is not scheduled; another one writes meanwhile.
        writer.give_back(slow.journal.take().unwrap());
        writer.write();
        drop(slow);
        assert!(wait(writer.written(last)));
    }

    #[test]
    fn a_panic_loses_no_journal() {
        let bundle = tempfile::tempdir().unwrap();
        let writer = keeping(&bundle);
        let first = writer.note(told("first"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _batch = writer.take().expect("something waits");
            panic!("on purpose");
        }));
        assert!(panicked.is_err() && wait(writer.written(first)));
        let second = writer.note(told("second"));
        writer.write();
        assert!(wait(writer.written(second)));
        assert!(read(bundle.path()).unwrap().processes.contains_key("second"));
    }

    #[test]
    fn what_was_given_up_writes_nothing_whenever_its_disk_comes_back() {
        let bundle = tempfile::tempdir().unwrap();
        let early = keeping(&bundle);
        early.note(told("e"));
        let batch = early.take().expect("something waits");
        early.lose();
        batch.write();
        let late = Writer::default();
        late.lose();
        late.keep(Journal::open(bundle.path()).unwrap());
        for writer in [&early, &late] {
            assert!(wait(writer.written(writer.note(told("e")))));
            writer.write();
        }
        assert!(read(bundle.path()).unwrap().processes.is_empty());
    }

    #[test]
    fn a_journal_in_memory_is_told_from_one_on_a_disk() {
        assert!(!Writer::default().is_in_memory());
        for folder in [std::env::temp_dir(), "/dev/shm".into(), env!("CARGO_MANIFEST_DIR").into()] {
            let Ok(bundle) = tempfile::tempdir_in(&folder) else { continue };
            let asked = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(&folder).output();
            let kind = String::from_utf8(asked.unwrap().stdout).unwrap();
            assert_eq!(
                keeping(&bundle).is_in_memory(),
                ["tmpfs", "ramfs"].contains(&kind.trim()),
                "{folder:?} is {kind}"
            );
        }
    }

    #[test]
    fn without_a_journal_nobody_waits() {
        let writer = Writer::default();
        let early = writer.note(told("early"));
        writer.lose();
        let late = writer.note(told("late"));
        assert!(wait(writer.written(early)) && wait(writer.written(late)));
        assert!(writer.desk().waiting.is_empty());
    }

    #[test]
    fn a_disk_that_never_comes_back_costs_no_memory() {
        let writer = Writer::default();
        for _ in 0..MOST + 5 {
            writer.note(told("e"));
        }
        assert_eq!(writer.desk().waiting.len(), MOST);
    }
}
