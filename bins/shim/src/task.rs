//! One container: its init, its execs, and what is held open for them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cgroup::Paths;
use container::held::Held;
use container::record::ProcessId;
use container::{ContainerId, Store};
use proc::Procfs;
use tokio::sync::{MutexGuard as Claim, watch};
use tokio::task::JoinHandle;

use crate::counters::Counters;
use crate::failure::Failure;
use crate::journal::{Record, Writer};
use crate::oom::Oom;
use crate::options::Options;
use crate::process::Process;
use crate::tree::Groups;
use crate::verb::{Request, Verb};

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
    /// Another OCI runtime that it belongs to.
    pub binary: Option<PathBuf>,
    /// Its groups.
    pub groups: Paths,
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
    /// Another OCI runtime that it belongs to.
    pub binary: Option<PathBuf>,
    /// Its groups.
    pub groups: Paths,
    /// Groups for execs, to be found and killed by.
    pub exec_groups: Groups,
    execs: Mutex<BTreeMap<String, Arc<Process>>>,
    held: Mutex<Vec<Held>>,
    /// Where it is, as far as it is known here.
    freezer: Mutex<Freezer>,
    /// Held by who freezes or thaws it.
    freezing: tokio::sync::Mutex<()>,
    /// What has to be known after a crash.
    pub journal: Writer,
    /// Execs that were started and have not been reported as ended.
    running: watch::Sender<usize>,
    deleting: Mutex<bool>,
    /// The kill of what outlives init.
    ending: Mutex<Option<JoinHandle<()>>>,
    oom: OnceLock<Oom>,
    /// The host's, kept open for the looks at processes that start.
    proc: OnceLock<Procfs>,
    counters: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    counters: Counters,
    /// What was given to the disk last.
    written: Counters,
    /// Somebody will write them soon.
    due: bool,
}

impl Counted {
    /// What is to be written, unless that was done.
    fn take_new(&mut self) -> Option<Counters> {
        let new = self.counters != self.written;
        new.then(|| self.written.clone_from(&self.counters))?;
        Some(self.written.clone())
    }
}

impl Task {
    /// A container without execs.
    #[must_use]
    pub fn new(place: Place, options: Options, init: Arc<Process>) -> Self {
        let Place { id, bundle, root, binary, groups } = place;
        Self {
            id,
            bundle,
            root,
            options,
            init,
            binary,
            // A runtime that is not ours has its own idea of what is in its groups.
            exec_groups: Groups::below(groups.unified.clone()),
            groups,
            execs: Mutex::default(),
            held: Mutex::default(),
            freezer: Mutex::new(Freezer::Thawed),
            freezing: tokio::sync::Mutex::default(),
            journal: Writer::default(),
            running: watch::Sender::new(0),
            deleting: Mutex::new(false),
            ending: Mutex::default(),
            oom: OnceLock::new(),
            proc: OnceLock::new(),
            counters: Mutex::default(),
        }
    }

    /// A verb for this container.
    #[must_use]
    pub fn request(&self, verb: Verb) -> Request {
        Request {
            root: self.root.clone(),
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            systemd_cgroup: self.options.systemd_cgroup,
            binary: self.binary.clone(),
            verb,
        }
    }

    /// Its out-of-memory kills, if they are watched.
    #[must_use]
    pub fn oom(&self) -> Option<&Oom> {
        self.oom.get()
    }

    /// Begins to watch for out-of-memory kills.
    pub fn watch_oom(&self, oom: Oom) {
        let _ = self.oom.set(oom);
    }

    /// Counts something; says whether it is the caller who has to see to it that it is written down.
    pub fn count(&self, count: impl FnOnce(&mut Counters)) -> bool {
        let mut counted = locked(&self.counters);
        count(&mut counted.counters);
        !std::mem::replace(&mut counted.due, true)
    }

    /// Nobody will write down what is counted unless who counts next sees to it.
    pub fn not_due(&self) {
        locked(&self.counters).due = false;
    }

    /// Writes down what was counted and noted. May sleep in the kernel.
    pub fn write_down(&self) {
        self.journal.write();
        let Some(counters) = locked(&self.counters).take_new() else { return };
        // A bundle that is gone takes no more counts.
        if let Err(errno) = counters.write(&self.bundle) {
            log::debug!("{}: write the counters: {errno}", self.id);
        }
    }

    /// Whether something was counted or noted and not written down.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let counted = locked(&self.counters);
        counted.counters != counted.written || self.journal.waits()
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

    /// Takes the right to freeze or to thaw it, as long as the claim is kept. What is noted of it is another matter.
    ///
    /// # Errors
    /// [`Failure::State`] while somebody else has it.
    pub fn claim_freezer(&self, verb: &'static str) -> Result<Claim<'_, ()>, Failure> {
        let taken = |_| Failure::State { verb, what: "a container that is being paused or resumed" };
        self.freezing.try_lock().map_err(taken)
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

    /// Keeps the kill of what outlives init.
    pub fn ends_others(&self, kill: JoinHandle<()>) {
        *locked(&self.ending) = Some(kill);
    }

    /// Waits until what outlived init was killed, if somebody is at it; after `limit` that is given up.
    pub async fn others_ended(&self, limit: Duration) {
        let Some(mut kill) = locked(&self.ending).take() else { return };
        if tokio::time::timeout(limit, &mut kill).await.is_err() {
            log::warn!(
                "{}: the kill of what outlived init has not ended after {} s",
                self.id,
                limit.as_secs()
            );
            kill.abort();
        }
    }

    /// What makes a process the one with its pid; none when it is not there.
    #[must_use]
    pub fn identity(&self, pid: i32) -> Option<ProcessId> {
        let stat = self.proc()?.stat(pid).ok()?;
        Some(ProcessId { pid, start_time: stat.start_time })
    }

    fn proc(&self) -> Option<&Procfs> {
        if self.proc.get().is_none()
            && let Ok(proc) = Procfs::host()
        {
            let _ = self.proc.set(proc);
        }
        self.proc.get()
    }

    /// Notes that a process was started, with what makes it the one with that pid. Gives the number of the record, which
    /// somebody has to write.
    pub fn note_started(&self, exec_id: &str, pid: i32) -> u64 {
        let start_time = self.identity(pid).map_or(0, |process| process.start_time);
        self.journal.note(Record::Started { exec: exec_id.to_owned(), pid, start_time })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Streams;

    #[test]
    fn who_freezes_or_thaws_is_alone_until_its_claim_goes_whatever_is_noted() {
        let init = Process::new("", Streams::default(), Vec::new());
        let task = Task::new(Place::default(), Options::default(), Arc::new(init));
        task.set_freezer(Freezer::Freezing);
        let claim = task.claim_freezer("pause").expect("nobody else is at it");
        for noted in [Freezer::Freezing, Freezer::Thawed, Freezer::Frozen] {
            task.set_freezer(noted);
            assert!(matches!(task.claim_freezer("resume"), Err(Failure::State { verb: "resume", .. })));
        }
        drop(claim);
        assert!(task.claim_freezer("resume").is_ok());
    }
}
