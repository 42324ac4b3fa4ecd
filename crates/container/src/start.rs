//! `start`: lets a parked init run its program, and says whether it does.

use crate::evidence::{self, Context};
use crate::record::Record;
use crate::store::{self, Entry, Store};
use crate::{ContainerId, Error, Status, hooks, status};
use child::stage::{Failure, REPORT_SIZE};
use launch::Process;
use proc::Procfs;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// After this long without an end a waiting start is named in the log, and again each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long another command may keep the container.
const BUSY: Duration = Duration::from_secs(10);

/// Starts a created container: comes back when its program was executed.
///
/// # Errors
/// [`Error::CannotStart`]; what kept the program from being executed; a failed poststart hook, after which the
/// container is killed.
pub fn start(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    let lock = entry.lock(BUSY)?;
    let record = entry.read()?;
    let observed = status::observe(&proc, &record)?;
    let init = match (observed.status, observed.init) {
        (Status::Created, Some(init)) => init,
        (status, _) => return Err(Error::CannotStart { status }),
    };
    let report = release(&entry)?;
    attend(&proc, &record, &init, &report)?;
    drop(lock);
    run_poststart(&proc, &entry, &record, &init)
}

/// Opens the way back before the gate, so that no word of init is lost.
fn release(entry: &Entry) -> Result<OwnedFd, Error> {
    let wrap = |name: &'static str| {
        let path = entry.path().join(name);
        move |source| Error::File { step: "open", path, source }
    };
    let report =
        entry.open_fifo(store::REPORT, OFlags::RDONLY | OFlags::NONBLOCK).map_err(wrap(store::REPORT))?;
    let gate =
        entry.open_fifo(store::START, OFlags::WRONLY | OFlags::NONBLOCK).map_err(wrap(store::START))?;
    rustix::io::write(&gate, b"s").map_err(wrap(store::START))?;
    Ok(report)
}

/// Waits until init's end of the report fifo closes: its program runs, or it is dead.
fn attend(proc: &Procfs, record: &Record, init: &Process, report: &OwnedFd) -> Result<(), Error> {
    let begun = Instant::now();
    let mut words = Vec::new();
    loop {
        let mut fds = [PollFd::new(report, PollFlags::IN), PollFd::new(&init.pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&launch::process::timespec(PATIENCE))) {
            Ok(0) => {
                let seconds = begun.elapsed().as_secs();
                log::warn!(
                    "still waiting for container init {} to execute its program, {seconds} s",
                    init.pid
                );
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
    verdict(proc, record, init, &words)
}

fn verdict(proc: &Procfs, record: &Record, init: &Process, words: &[u8]) -> Result<(), Error> {
    let context = Context {
        proc,
        init: Some(init),
        process: &record.process,
        cgroup: &record.cgroup,
        last_mile: None,
        before: None,
    };
    let failure = (words.len() == REPORT_SIZE).then(|| Failure::from_bytes(words)).flatten();
    if let Some(failure) = failure {
        let root = proc::Root::at(&record.rootfs).ok();
        return Err(Error::NotStarted(evidence::of_failure_in(&context, failure, root.as_ref())));
    }
    if !words.is_empty() {
        return Err(Error::Init { message: String::from_utf8_lossy(words).into_owned() });
    }
    // End of file without a word: the program runs, unless the kernel says that none was ever executed.
    if launch::process::never_executed(proc, init.pid) != Some(true) {
        return Ok(());
    }
    let _ = launch::process::wait_dead(init.pidfd.as_fd(), Duration::from_secs(2));
    Err(Error::InitDied { stage: "execute its program", cause: evidence::of_init(&context, None) })
}

/// Compat: runtime-spec 1.3 and runc 1.3: a failed poststart hook fails the start and ends the container.
fn run_poststart(proc: &Procfs, entry: &Entry, record: &Record, init: &Process) -> Result<(), Error> {
    let list = &record.hooks.poststart;
    if list.is_empty() {
        return Ok(());
    }
    let state = hooks::state(record, Status::Running, init.pid);
    let ran = hooks::run(
        Some(proc),
        &hooks::List { name: "poststart", hooks: list, state: &state },
        &mut hooks::OnDisk(entry),
    );
    if ran.is_err() {
        let _ = rustix::process::pidfd_send_signal(&init.pidfd, rustix::process::Signal::KILL);
    }
    ran
}
