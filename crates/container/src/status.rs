//! What a container is doing: asked of the kernel, never remembered.
//!
//! | status | kernel's evidence |
//! |---|---|
//! | creating | the record says so and its creator lives |
//! | paused | init lives and its freezer is frozen or freezing |
//! | created | init lives and has not executed a program (`PF_FORKNOEXEC`) |
//! | running | init lives otherwise; a thread group lives while any of its threads does |
//! | stopped | anything else |

use crate::Error;
use crate::record::{Phase, ProcessId, Record};
use crate::store::{Entry, Lock, Seen};
use cgroup::{Cgroup, Freezer};
use launch::Process;
use proc::Procfs;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use std::time::Duration;

/// The five states of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// Init waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// The program is frozen.
    Paused,
    /// The program ended, or never began.
    Stopped,
}

impl Status {
    /// The word of the runtime specification (`paused` is runc's).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// A container's status at one moment, with its init if that lives.
#[derive(Debug)]
pub struct Observed {
    /// What it is doing.
    pub status: Status,
    /// Its init, held so that it cannot be mistaken.
    pub init: Option<Process>,
}

/// Looks at the kernel.
///
/// # Errors
/// [`Error::Proc`] when `/proc` cannot be read.
pub fn observe(proc: &Procfs, record: &Record) -> Result<Observed, Error> {
    let (status, init) = match look(proc, record)? {
        Look::Lives(init) => (of_live(proc, &init, &record.cgroup), Some(init)),
        Look::Not(status, init) => (status, init),
    };
    Ok(Observed { status, init })
}

/// The init of a container that is created, running or paused: which of them is not asked. Otherwise its status.
///
/// # Errors
/// As [`observe`].
pub(crate) fn living_init(proc: &Procfs, record: &Record) -> Result<Result<Process, Status>, Error> {
    Ok(match look(proc, record)? {
        Look::Lives(init) => Ok(init),
        Look::Not(status, _) => Err(status),
    })
}

/// What is known before the freezer and init's program are looked at.
enum Look {
    Lives(Process),
    Not(Status, Option<Process>),
}

fn look(proc: &Procfs, record: &Record) -> Result<Look, Error> {
    let same_boot = boot_id(proc)? == record.boot_id;
    let init = record.init.filter(|_| same_boot).map(|init| find(proc, init)).transpose()?.flatten();
    Ok(match init {
        None if record.phase == Phase::Creating && same_boot => Look::Not(creating(proc, record)?, None),
        None => Look::Not(Status::Stopped, None),
        // When its creator is dead, init reads end of file at its next step and ends.
        Some(init) if record.phase == Phase::Creating => Look::Not(creating(proc, record)?, Some(init)),
        Some(init) => Look::Lives(init),
    })
}

fn creating(proc: &Procfs, record: &Record) -> Result<Status, Error> {
    let lives = find(proc, record.creator)?.is_some();
    Ok(if lives { Status::Creating } else { Status::Stopped })
}

fn of_live(proc: &Procfs, init: &Process, paths: &cgroup::Paths) -> Status {
    match Cgroup::new(paths.clone()).freezer() {
        Ok(Freezer::Frozen | Freezer::Freezing) => Status::Paused,
        _ if launch::process::never_executed(proc, init.pid) == Some(true) => Status::Created,
        _ => Status::Running,
    }
}

/// Takes the right to change a container, unless `create` is still at work on it, which keeps that right to its end:
/// then the answer is `unborn`, at once. The record is that under the lock.
///
/// # Errors
/// `unborn`; a state that cannot be read; [`Error::Busy`].
pub(crate) fn lock(proc: &Procfs, entry: &Entry, unborn: Error) -> Result<(Lock, Record), Error> {
    let mut seen = entry.see()?;
    let lock = lock_seen(proc, entry, &mut seen, unborn)?;
    Ok((lock, seen.record))
}

/// As [`lock`], for a caller who has seen the record before.
///
/// # Errors
/// As [`lock`].
pub(crate) fn lock_seen(proc: &Procfs, entry: &Entry, seen: &mut Seen, unborn: Error) -> Result<Lock, Error> {
    /// How long another command may keep the container.
    const BUSY: Duration = Duration::from_secs(10);
    let record = &seen.record;
    if record.phase == Phase::Creating && matches!(living_init(proc, record)?, Err(Status::Creating)) {
        return Err(unborn);
    }
    let lock = entry.lock(BUSY)?;
    entry.see_again(seen)?;
    Ok(lock)
}

/// The kernel's boot id.
///
/// # Errors
/// [`Error::Proc`].
pub fn boot_id(proc: &Procfs) -> Result<&str, Error> {
    proc.boot_id().map_err(Error::Proc)
}

/// The identity of a living process, by its pid.
///
/// # Errors
/// [`Error::Proc`] when it is gone.
pub fn identity(proc: &Procfs, pid: i32) -> Result<ProcessId, Error> {
    let start_time = proc.stat(pid).map_err(Error::Proc)?.start_time;
    Ok(ProcessId { pid, start_time })
}

/// The process of an identity if it lives: same pid, same start time, some thread alive.
///
/// # Errors
/// [`Error::Pidfd`], [`Error::Proc`] when the process is there and cannot be looked at.
pub fn find(proc: &Procfs, id: ProcessId) -> Result<Option<Process>, Error> {
    let Some(pid) = Pid::from_raw(id.pid) else { return Ok(None) };
    let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        // EINVAL: the pid now is a thread of another process.
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(source) => return Err(Error::Pidfd { pid: id.pid, source }),
    };
    match proc.stat(id.pid) {
        Ok(stat) if stat.start_time == id.start_time => {}
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::SRCH)) => return Ok(None),
        // What cannot be looked at is not dead.
        Err(error) => return Err(Error::Proc(error)),
    }
    // After the start time was read: the pidfd still names the process it was read of.
    let dead = launch::process::wait_dead(pidfd.as_fd(), Duration::ZERO)
        .map_err(|source| Error::Pidfd { pid: id.pid, source })?;
    Ok((!dead).then_some(Process { pid: id.pid, pidfd }))
}
