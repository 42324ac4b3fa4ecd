//! Killing everything in the groups.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::deadline::Deadline;
use crate::{Cgroup, Freezer, Result, file};

/// A round of signals is repeated after this long if something is left: a fork may have outrun it.
const ROUND: Duration = Duration::from_millis(100);

/// A container can have more processes than the caller may have descriptors.
const MOST_PIDFDS: usize = 128;

/// What one round of signals reached.
#[derive(Debug, Default)]
struct Round {
    /// Pidfds of some of the processes, for waiting.
    held: Vec<OwnedFd>,
    /// Everybody who has the signal.
    signalled: Vec<i32>,
}

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
            let held = self.kill_round(&deadline)?.held;
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

    /// Sends SIGKILL as [`Cgroup::kill`] does, until every process has it and no fork has outrun it; gives those that are
    /// left. It does not wait for their end: who sleeps uninterruptibly has the signal like the others.
    ///
    /// # Errors
    /// The deadline with the pids that are left when new ones keep coming, or some are not ours to signal.
    pub fn signal_kill(&self, limit: Duration) -> Result<Vec<i32>> {
        let deadline = Deadline::new("kill", limit);
        let mut signalled = BTreeSet::new();
        loop {
            let round = self.kill_round(&deadline)?;
            signalled.extend(round.signalled);
            wait_for_exit(&round.held, ROUND.min(deadline.left()));
            let left = self.all_pids()?;
            if left.iter().all(|pid| signalled.contains(pid)) {
                return Ok(left);
            }
            if deadline.is_over() {
                return Err(deadline.error(self.paths().main(), left));
            }
        }
    }

    fn kill_round(&self, deadline: &Deadline) -> Result<Round> {
        if self.all_pids()?.is_empty() {
            return Ok(Round::default());
        }
        let at_once = self.kill_file();
        if !at_once && self.freezer()? == Freezer::Thawed {
            // A task that does not stop in time is signalled all the same.
            if let Err(error) = self.freeze(ROUND.min(deadline.left())) {
                log::debug!("{error}");
            }
        }
        let round = self.signal_each()?;
        self.thaw_for_kill();
        if self.frozen_ancestor().is_some() {
            self.free_all();
        }
        Ok(round)
    }

    fn kill_file(&self) -> bool {
        let unified = self.paths().unified.as_deref();
        unified.is_some_and(|path| file::write(&path.join("cgroup.kill"), "1").is_ok())
    }

    fn signal_each(&self) -> Result<Round> {
        let mut round = Round::default();
        for pids in self.all_pids()?.chunks(MOST_PIDFDS) {
            let part = self.signal(pids)?;
            round.signalled.extend(part.signalled);
            round.held = if round.held.is_empty() { part.held } else { round.held };
        }
        Ok(round)
    }

    /// A pid is signalled only if it was in the groups after its pidfd was opened: it cannot be another's by then.
    fn signal(&self, pids: &[i32]) -> Result<Round> {
        let open = |pid: &i32| {
            Some((*pid, rustix::process::pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok()?))
        };
        let opened: Vec<(i32, OwnedFd)> = pids.iter().filter_map(open).collect();
        let members = self.all_pids()?;
        let mut round = Round::default();
        for (pid, pidfd) in opened.into_iter().filter(|(pid, _)| members.binary_search(pid).is_ok()) {
            match rustix::process::pidfd_send_signal(&pidfd, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => round.signalled.push(pid),
                Err(errno) => log::debug!("kill {pid}: {errno}"),
            }
            round.held.push(pidfd);
        }
        Ok(round)
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
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
