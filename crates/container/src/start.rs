//! `start`: lets a parked init run its program, and says whether it does.

use crate::cause::Cause;
use crate::evidence::{self, Context};
use crate::init::MARK;
use crate::record::Record;
use crate::store::{self, Entry, Seen, Store};
use crate::{ContainerId, Error, Status, hooks, status};
use cgroup::{Cgroup, Evidence};
use child::stage::{Failure, REPORT_SIZE, Stage};
use launch::{Ended, Process};
use proc::Procfs;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// A start takes milliseconds; after this long without an end init is looked at, and again each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a created container: comes back when its program was executed.
///
/// # Errors
/// [`Error::CannotStart`]; what kept the program from being executed; a failed poststart hook, after which the
/// container is killed.
pub fn start(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    let mut seen = entry.see()?;
    start_seen(&proc, &entry, &mut seen)
}

/// As [`start`], for a caller who has seen the record before.
///
/// # Errors
/// As [`start`].
pub(crate) fn start_seen(proc: &Procfs, entry: &Entry, seen: &mut Seen) -> Result<(), Error> {
    let lock = status::lock_seen(proc, entry, seen, Error::CannotStart { status: Status::Creating })?;
    let record = &seen.record;
    let observed = status::observe(proc, record)?;
    let init = match (observed.status, observed.init) {
        (Status::Created, Some(init)) => init,
        (status, _) => return Err(refused(record, status)),
    };
    let start = Start { proc, record, init: &init, before: before(record)? };
    let report = release(entry)?;
    // A program may take its time to come, and nobody else need wait for that.
    drop(lock);
    start.attend(&report)?;
    run_poststart(proc, entry, record, &init)
}

fn refused(record: &Record, status: Status) -> Error {
    let above = (status == Status::Paused).then(|| evidence::frozen_above(&record.cgroup)).flatten();
    above.map_or(Error::CannotStart { status }, Error::NotStarted)
}

/// The counters before the program, unless its cgroup would hold it for ever.
fn before(record: &Record) -> Result<Evidence, Error> {
    // That the container is created and not paused was asked of the same freezer just now.
    let before = Evidence::quick_of_thawed(&Cgroup::new(record.cgroup.clone()));
    hold(record, &before).map_or(Ok(before), |cause| Err(Error::NotStarted(cause)))
}

/// What lets no process of the container run now. A full `pids.max` is none: init needs no new process.
fn hold(record: &Record, now: &Evidence) -> Option<Cause> {
    use cgroup::Cause::{Frozen, OomDisabled};
    let cause = now.obstacle().filter(|cause| matches!(cause, Frozen { .. } | OomDisabled { .. }))?;
    Some(evidence::obstacle(&record.cgroup, cause))
}

/// Opens the way back before the gate, so that no word of init is lost. The gate goes when it was used, so that a second
/// start cannot.
fn release(entry: &Entry) -> Result<OwnedFd, Error> {
    let wrap = |name: &'static str| {
        let path = entry.path().join(name);
        move |source| Error::File { step: "open", path, source }
    };
    let report =
        entry.open_fifo(store::REPORT, OFlags::RDONLY | OFlags::NONBLOCK).map_err(wrap(store::REPORT))?;
    let gate = match entry.open_fifo(store::START, OFlags::WRONLY | OFlags::NONBLOCK) {
        Err(Errno::NOENT) => return Err(Error::CannotStart { status: Status::Running }),
        other => other.map_err(wrap(store::START))?,
    };
    rustix::io::write(&gate, b"s").map_err(wrap(store::START))?;
    // Init goes on already: a state directory that takes no change is no reason to say that it does not.
    if let Err(errno) = entry.remove_file(store::START) {
        log::warn!("remove {}: {errno}", entry.path().join(store::START).display());
    }
    Ok(report)
}

/// The state letter of a process that a signal has stopped.
///
/// Source: proc_pid_stat(5).
const STOPPED: char = 'T';

/// A start under way, with everything that is needed to explain its failure.
struct Start<'a> {
    proc: &'a Procfs,
    record: &'a Record,
    init: &'a Process,
    before: Evidence,
}

impl Start<'_> {
    /// Waits until init's end of the report fifo closes: its program runs, or it is dead.
    fn attend(&self, report: &OwnedFd) -> Result<(), Error> {
        let begun = Instant::now();
        let mut words = Vec::new();
        loop {
            let mut fds = [PollFd::new(report, PollFlags::IN), PollFd::new(&self.init.pidfd, PollFlags::IN)];
            match poll(&mut fds, Some(&launch::process::timespec(PATIENCE))) {
                Ok(0) => {
                    self.look_again(begun.elapsed())?;
                    continue;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(source) => return Err(Error::Step { step: "wait for the container's program", source }),
            }
            let mut chunk = [0; 4096];
            match rustix::io::read(report, &mut chunk) {
                Ok(0) => break,
                Ok(count) => words.extend_from_slice(chunk.get(..count).unwrap_or(&[])),
                Err(Errno::AGAIN | Errno::INTR) if !fds[1].revents().is_empty() => break,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(source) => return Err(Error::Step { step: "read init's report", source }),
            }
        }
        self.verdict(&words)
    }

    /// Nothing has happened for a while: an error when a group or a signal holds init, which nobody but its owner can
    /// end, or when the kernel tries for ever to find memory for it.
    ///
    /// Anything else is storage that answers late, a hook with a limit of its own, or a seccomp agent that is asked about
    /// the `execve`: none of them is a reason to kill a container that comes to life when they are done.
    fn look_again(&self, waited: Duration) -> Result<(), Error> {
        let pid = self.init.pid;
        match evidence::of_stuck(&self.context(), Stage::Execve, waited, pid) {
            Cause::Stuck { state, wchan, .. } if state != STOPPED => {
                log::warn!(
                    "still waiting for container init {pid} to execute its program, {} s (state {state}, waits in {wchan})",
                    waited.as_secs()
                );
                Ok(())
            }
            Cause::Stuck { .. } => Err(Error::NotStarted(Cause::InitHalted { pid })),
            cause @ Cause::NoMemory { .. } => {
                let _ = rustix::process::pidfd_send_signal(&self.init.pidfd, rustix::process::Signal::KILL);
                Err(Error::NotStarted(cause))
            }
            cause => Err(Error::NotStarted(cause)),
        }
    }

    fn verdict(&self, words: &[u8]) -> Result<(), Error> {
        let context = self.context();
        let (marked, words) = match words.split_first() {
            Some((&MARK, rest)) => (true, rest),
            _ => (false, words),
        };
        let failure = (words.len() == REPORT_SIZE).then(|| Failure::from_bytes(words)).flatten();
        if let Some(failure) = failure {
            let root = proc::Root::at(&self.record.rootfs).ok();
            return Err(Error::NotStarted(evidence::of_failure_in(&context, failure, root.as_ref())));
        }
        if !words.is_empty() {
            return Err(Error::Init { message: String::from_utf8_lossy(words).into_owned() });
        }
        // End of file without a word: the program runs, unless the kernel says that none was ever executed.
        let cause = match self.never_executed()? {
            Some(false) => return Ok(()),
            Some(true) => {
                let _ = launch::process::wait_dead(self.init.pidfd.as_fd(), Duration::from_secs(2));
                Some(evidence::of_init(&context, Stage::Execve))
            }
            None => self.of_gone_init(marked),
        };
        cause.map_or(Ok(()), |cause| Err(Error::InitDied { stage: "execute its program", cause }))
    }

    /// `None` when init was reaped already: what its pid says is only believed while the pid is known to be init's.
    fn never_executed(&self) -> Result<Option<bool>, Error> {
        let Some(id) = self.record.init else { return Ok(None) };
        match self.proc.stat(id.pid) {
            Ok(stat) if stat.start_time == id.start_time => Ok(Some(stat.has_never_executed())),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::SRCH)) => Ok(None),
            Err(error) => Err(Error::Proc(error)),
        }
    }

    /// Init, which its reaper took away before it could be looked at: 255 and a signal are what it ends with before its
    /// program, any other status is the program's.
    fn of_gone_init(&self, marked: bool) -> Option<Cause> {
        let context = self.context();
        let ended = launch::process::how_ended(self.proc, self.init);
        match ended {
            Some(Ended::Exited(status)) if marked || status != 255 => None,
            _ if !marked => Some(evidence::of_init(&context, Stage::Execve)),
            _ => evidence::of_gone_init(&context).or_else(|| {
                let pid = self.init.pid;
                log::warn!("container init {pid} ended at once; whether its program ran is not known");
                None
            }),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            proc: self.proc,
            init: Some(self.init),
            process: &self.record.process,
            cgroup: &self.record.cgroup,
            last_mile: None,
            before: Some(&self.before),
        }
    }
}

/// Compat: runtime-spec 1.3 and runc 1.3: a failed poststart hook fails the start and ends the container.
fn run_poststart(proc: &Procfs, entry: &Entry, record: &Record, init: &Process) -> Result<(), Error> {
    let list = &record.hooks.poststart;
    if list.is_empty() {
        return Ok(());
    }
    let state = hooks::state(record, Status::Running, init.pid);
    let heritage = hooks::Heritage::Runtime(&record.bundle);
    let list = hooks::List { name: "poststart", hooks: list, state: &state, heritage };
    let ran = hooks::run(Some(proc), &list, &mut hooks::OnDisk(entry));
    if ran.is_err() {
        let _ = rustix::process::pidfd_send_signal(&init.pidfd, rustix::process::Signal::KILL);
    }
    ran
}
