//! Killing everything in the groups.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::deadline::Deadline;
use crate::{Cgroup, Freezer, Result, file};

/// A round of signals is repeated after this long if something is left: a fork may have outrun it.
const ROUND: Duration = Duration::from_millis(100);

/// A container can have more processes than the caller may have descriptors.
const MOST_PIDFDS: usize = 128;

impl Cgroup {
    /// Sends SIGKILL to every process in the groups and in groups nested in them until none is left. A frozen
    /// group is thawed, since on v1 nothing frozen dies.
    ///
    /// `cgroup.kill` of v2 does it in one step. Else each round freezes (so that no fork outruns it), signals
    /// by pidfd and thaws.
    ///
    /// Kernel: `cgroup.kill` came with 5.14.
    ///
    /// # Errors
    /// The deadline with the pids that are left: they are in an uninterruptible sleep, or not ours to signal.
    pub fn kill(&self, limit: Duration) -> Result<()> {
        let mut deadline = Deadline::new("kill", limit);
        loop {
            let held = self.kill_round(&deadline)?;
            if self.all_pids()?.is_empty() {
                return Ok(());
            }
            wait_for_exit(&held, ROUND.min(deadline.left()));
            let left = self.all_pids()?;
            if left.is_empty() {
                return Ok(());
            }
            if deadline.is_over() {
                return Err(deadline.error(self.paths().main(), left));
            }
            if held.is_empty() {
                deadline.pause();
            }
        }
    }

    fn kill_round(&self, deadline: &Deadline) -> Result<Vec<OwnedFd>> {
        if self.all_pids()?.is_empty() {
            return Ok(Vec::new());
        }
        let at_once = self.kill_file();
        if !at_once && self.freezer()? == Freezer::Thawed {
            // A task that does not stop in time is signalled all the same.
            if let Err(error) = self.freeze(ROUND.min(deadline.left())) {
                log::debug!("{error}");
            }
        }
        let held = self.signal_each()?;
        self.thaw_for_kill();
        if self.frozen_ancestor().is_some() {
            self.free_all();
        }
        Ok(held)
    }

    fn kill_file(&self) -> bool {
        let unified = self.paths().unified.as_deref();
        unified.is_some_and(|path| file::write(&path.join("cgroup.kill"), "1").is_ok())
    }

    /// Returns pidfds of some of the signalled, for waiting.
    fn signal_each(&self) -> Result<Vec<OwnedFd>> {
        let mut held = Vec::new();
        for pids in self.all_pids()?.chunks(MOST_PIDFDS) {
            let signalled = self.signal(pids)?;
            held = if held.is_empty() { signalled } else { held };
        }
        Ok(held)
    }

    /// A pid is signalled only if it was in the groups after its pidfd was opened: it cannot be another's by then.
    fn signal(&self, pids: &[i32]) -> Result<Vec<OwnedFd>> {
        let open = |pid: &i32| {
            Some((*pid, rustix::process::pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok()?))
        };
        let opened: Vec<(i32, OwnedFd)> = pids.iter().filter_map(open).collect();
        let members = self.all_pids()?;
        let ours = opened.into_iter().filter(|(pid, _)| members.binary_search(pid).is_ok());
        let signalled = ours.map(|(pid, pidfd)| {
            if let Err(errno) = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL) {
                log::debug!("kill {pid}: {errno}");
            }
            pidfd
        });
        Ok(signalled.collect())
    }

    fn free_all(&self) {
        for pid in self.all_pids().unwrap_or_default() {
            if let Err(error) = self.free_frozen(pid) {
                log::debug!("{error}");
            }
        }
    }
}

/// Waits until one of them has ended, or the time is over.
fn wait_for_exit(pidfds: &[OwnedFd], limit: Duration) {
    let mut polls: Vec<PollFd<'_>> = pidfds.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
    let until = std::time::Instant::now() + limit;
    while !polls.is_empty() {
        let left = until.saturating_duration_since(std::time::Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return };
        match rustix::event::poll(&mut polls, Some(&timeout)) {
            Ok(0) => return,
            Ok(_) => polls.retain(|poll| poll.revents().is_empty()),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
