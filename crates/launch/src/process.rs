//! A process as the runtime knows it: a pidfd, and how it ended.

use crate::Error;
use ::proc::Procfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use std::time::{Duration, Instant};

/// A live or dead process that this one may signal and poll.
#[derive(Debug)]
pub struct Process {
    /// Its pid in the caller's pid namespace; for messages and files only.
    pub pid: i32,
    /// Its identity.
    pub pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an exit status of 0 to 255.
    Exited(u8),
    /// By a signal.
    Signaled(u8),
}

impl Ended {
    /// The status a shell would show: the exit status, or 128 + signal.
    #[must_use]
    pub fn shell_status(self) -> u8 {
        match self {
            Ended::Exited(status) => status,
            Ended::Signaled(signal) => signal.saturating_add(128),
        }
    }

    /// Source: wait(2): the low 7 bits are the signal, the second byte is the exit status.
    fn from_status(status: i32) -> Ended {
        let [low, high, ..] = status.to_le_bytes();
        if low & 0x7f == 0 { Ended::Exited(high) } else { Ended::Signaled(low & 0x7f) }
    }

    fn from_wait(status: &WaitIdStatus) -> Option<Ended> {
        let byte = |value: i32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
        status
            .exit_status()
            .map(|status| Ended::Exited(byte(status)))
            .or_else(|| status.terminating_signal().map(|signal| Ended::Signaled(byte(signal))))
    }
}

/// Whether a wait takes the zombie away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reap {
    /// The process vanishes from the process table.
    Yes,
    /// `WNOWAIT`: it can be looked at and waited for again.
    No,
}

/// How a child of this process ended, or `None` while it lives.
///
/// # Errors
/// [`Error::Wait`], with `ECHILD` when it is not our child.
pub fn ended(process: &Process, reap: Reap) -> Result<Option<Ended>, Error> {
    let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if reap == Reap::No {
        options |= WaitIdOptions::NOWAIT;
    }
    let status =
        rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(process.pidfd.as_fd()), options))
            .map_err(|source| Error::Wait { pid: process.pid, source })?;
    Ok(status.as_ref().and_then(Ended::from_wait))
}

/// How any process ended that is dead, child or not; `None` when the kernel does not tell.
///
/// Kernel: a zombie shows its status in `/proc/PID/stat`; one that was reaped tells it through its pidfd since 6.15.
#[must_use]
pub fn how_ended(proc: &Procfs, process: &Process) -> Option<Ended> {
    let zombie = proc.stat(process.pid).ok().filter(::proc::pid::Stat::is_dead);
    let status = match zombie {
        Some(stat) => stat.wait_status,
        None => sys::pidfd::wait_status(process.pidfd.as_fd()).ok().flatten(),
    };
    status.map(Ended::from_status)
}

/// Waits until the process is dead, at most `limit`; works for any process, not only children.
///
/// A thread group is dead when its last thread is.
///
/// # Errors
/// The errno of poll(2).
pub fn wait_dead(pidfd: BorrowedFd<'_>, limit: Duration) -> Result<bool, Errno> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A duration as the kernel takes it.
#[must_use]
pub fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Whether the process still runs the code it was forked with; `None` when it is gone.
#[must_use]
pub fn never_executed(proc: &Procfs, pid: i32) -> Option<bool> {
    proc.stat(pid).ok().map(|stat| stat.has_never_executed())
}
