//! One container: its init, its execs, and what is held open for them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use container::held::Held;
use container::{ContainerId, Store};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::counters::Counters;
use crate::failure::Failure;
use crate::journal::{Journal, Record};
use crate::oom::Oom;
use crate::options::Options;
use crate::process::Process;
use crate::tree::Groups;

/// Where containers of a group are, as far as containerd is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freezer {
    /// They run.
    Thawed,
    /// They are being frozen.
    Freezing,
    /// They stand still.
    Frozen,
}

/// Where everything of a container is.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// Its bundle, absolute.
    pub bundle: PathBuf,
    /// The state root.
    pub root: PathBuf,
    /// Its groups.
    pub cgroup: cgroup::Paths,
}

/// One container.
#[derive(Debug)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its bundle, absolute: the working directory is one that containerd removes.
    pub bundle: PathBuf,
    /// The state root.
    pub root: PathBuf,
    /// What containerd asked for.
    pub options: Options,
    /// Its first process.
    pub init: Arc<Process>,
    /// Its groups.
    pub cgroup: cgroup::Paths,
    /// Groups for execs, to be found and killed by.
    pub groups: Groups,
    execs: Mutex<BTreeMap<String, Arc<Process>>>,
    held: Mutex<Vec<Held>>,
    freezer: Mutex<Freezer>,
    journal: Mutex<Option<Journal>>,
    /// Execs that were started and have not been reported as ended.
    running: watch::Sender<usize>,
    deleting: Mutex<bool>,
    counters: Mutex<Noted>,
    oom: OnceLock<OomWatch>,
}

/// Numbers, and whether they are written down.
#[derive(Debug, Default)]
struct Noted {
    counters: Counters,
    news: bool,
}

/// Who looks for out-of-memory kills; the watch ends with the container.
#[derive(Debug)]
pub struct OomWatch {
    /// What the kernel says.
    pub oom: Arc<Oom>,
    /// The task that waits for it.
    pub waiter: AbortHandle,
}

impl Drop for OomWatch {
    fn drop(&mut self) {
        self.waiter.abort();
    }
}

impl Task {
    /// A container without execs.
    #[must_use]
    pub fn new(place: Place, options: Options, init: Arc<Process>) -> Self {
        let Place { id, bundle, root, cgroup } = place;
        Self {
            id,
            bundle,
            root,
            options,
            init,
            groups: Groups::below(cgroup.unified.clone()),
            cgroup,
            counters: Mutex::default(),
            oom: OnceLock::new(),
            execs: Mutex::default(),
            held: Mutex::default(),
            freezer: Mutex::new(Freezer::Thawed),
            journal: Mutex::default(),
            running: watch::Sender::new(0),
            deleting: Mutex::new(false),
        }
    }

    /// Its init for an empty id, else an exec.
    ///
    /// # Errors
    /// [`Failure::NoProcess`].
    pub fn process(&self, exec_id: &str) -> Result<Arc<Process>, Failure> {
        if exec_id.is_empty() {
            return Ok(Arc::clone(&self.init));
        }
        let missing = || Failure::NoProcess { id: self.id.clone(), exec_id: exec_id.to_owned() };
        locked(&self.execs).get(exec_id).cloned().ok_or_else(missing)
    }

    /// Adds an exec.
    ///
    /// # Errors
    /// [`Failure::Exists`].
    pub fn add(&self, process: Process) -> Result<(), Failure> {
        let mut execs = locked(&self.execs);
        if execs.contains_key(&process.exec_id) {
            return Err(Failure::Exists { what: "process", id: process.exec_id });
        }
        execs.insert(process.exec_id.clone(), Arc::new(process));
        Ok(())
    }

    /// Forgets an exec.
    pub fn forget(&self, exec_id: &str) {
        locked(&self.execs).remove(exec_id);
    }

    /// All execs that are known.
    #[must_use]
    pub fn execs(&self) -> Vec<Arc<Process>> {
        locked(&self.execs).values().cloned().collect()
    }

    /// An open container to exec into: one that is not in use, else a new one. So execs do not wait for each other.
    ///
    /// # Errors
    /// As [`Held::open`].
    pub fn hold(&self) -> Result<Held, container::Error> {
        if let Some(held) = locked(&self.held).pop() {
            return Ok(held);
        }
        Held::open(&Store::open(&self.root)?, &ContainerId::parse(&self.id)?)
    }

    /// Keeps an open container for the next exec.
    pub fn keep(&self, held: Held) {
        const KEPT: usize = 1;
        let mut kept = locked(&self.held);
        if kept.len() < KEPT {
            kept.push(held);
        }
    }

    /// Closes what is kept for execs.
    pub fn let_go(&self) {
        locked(&self.held).clear();
    }

    /// Where it is.
    #[must_use]
    pub fn freezer(&self) -> Freezer {
        *locked(&self.freezer)
    }

    /// Notes where it is.
    pub fn set_freezer(&self, freezer: Freezer) {
        *locked(&self.freezer) = freezer;
    }

    /// An exec was started.
    pub fn exec_began(&self) {
        self.running.send_modify(|running| *running += 1);
    }

    /// An exec's end was reported.
    pub fn exec_ended(&self) {
        self.running.send_modify(|running| *running = running.saturating_sub(1));
    }

    /// Waits until every exec that was started has been reported as ended.
    pub async fn without_execs(&self) {
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Takes the right to delete it.
    ///
    /// # Errors
    /// [`Failure::State`] while somebody else does.
    pub fn claim_delete(&self) -> Result<(), Failure> {
        let mut deleting = locked(&self.deleting);
        if *deleting {
            return Err(Failure::State { verb: "delete", what: "a container that is being deleted" });
        }
        *deleting = true;
        Ok(())
    }

    /// Gives the right back.
    pub fn not_deleted(&self) {
        *locked(&self.deleting) = false;
    }

    /// Counts something that an exec did.
    pub fn count(&self, count: impl FnOnce(&mut Counters)) {
        let mut noted = locked(&self.counters);
        count(&mut noted.counters);
        noted.news = true;
    }

    /// The numbers, if they changed since they were taken.
    #[must_use]
    pub fn news(&self) -> Option<Counters> {
        let mut noted = locked(&self.counters);
        std::mem::take(&mut noted.news).then(|| noted.counters.clone())
    }

    /// Keeps the watch for out-of-memory kills.
    pub fn keep_oom(&self, watch: OomWatch) {
        let _ = self.oom.set(watch);
    }

    /// What the kernel says about out-of-memory kills, where it can be asked.
    #[must_use]
    pub fn oom(&self) -> Option<Arc<Oom>> {
        self.oom.get().map(|watch| Arc::clone(&watch.oom))
    }

    /// Begins to write to the journal.
    pub fn keep_journal(&self, journal: Journal) {
        *locked(&self.journal) = Some(journal);
    }

    /// Writes that a process was started, with what makes it the one with that pid.
    pub fn note_started(&self, exec_id: &str, pid: i32) {
        let stat = proc::Procfs::host().and_then(|proc| proc.stat(pid));
        let start_time = stat.map_or(0, |stat| stat.start_time);
        self.note(&Record::Started { exec: exec_id.to_owned(), pid, start_time });
    }

    /// Writes to the journal. That it cannot be written is no reason to stop: only a crash would miss it.
    pub fn note(&self, record: &Record) {
        let mut journal = locked(&self.journal);
        if let Some(Err(error)) = journal.as_mut().map(|journal| journal.append(record)) {
            log::warn!("{}", container::chain(&error));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
