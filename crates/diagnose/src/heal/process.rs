//! A process that is held by a pidfd and known to be the one that was found.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal};

use super::Error;
use crate::remedy::Identity;

/// How long SIGKILL may take.
const DEATH: Duration = Duration::from_secs(5);

/// A living process of this identity.
///
/// The pidfd is taken first: whatever start time `/proc` shows while it has not ended is that of the process held.
///
/// # Errors
/// When there is none, or when it started at another time.
pub(super) fn hold(identity: Identity) -> Result<Held, Error> {
    let changed = |why: &str| Error::Changed { pid: identity.pid, why: why.to_owned() };
    let pid = Pid::from_raw(identity.pid).ok_or_else(|| changed("not a pid"))?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_gone| changed("it has ended"))?;
    let held = Held { fd, identity };
    let started = start_time(identity.pid).ok_or_else(|| changed("it has ended"))?;
    if started != identity.start_time || held.has_ended(Duration::ZERO) {
        return Err(changed("the pid was given to another one"));
    }
    Ok(held)
}

/// See [`hold`].
#[derive(Debug)]
pub(super) struct Held {
    fd: OwnedFd,
    identity: Identity,
}

impl Held {
    /// Its pid.
    pub(super) fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Waits so long for its end.
    pub(super) fn has_ended(&self, limit: Duration) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)];
        let limit =
            Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        matches!(poll(&mut fds, Some(&limit)), Ok(ready) if ready > 0)
    }

    /// A copy of one of its descriptors.
    ///
    /// # Errors
    /// When it has no such descriptor, or this process may not take it.
    pub(super) fn descriptor(&self, number: i32) -> Result<OwnedFd, Error> {
        let what = format!("take descriptor {number} of pid {}", self.identity.pid);
        pidfd_getfd(&self.fd, number, PidfdGetfdFlags::empty()).map_err(Error::call(what))
    }

    /// Ends it, and says so.
    ///
    /// # Errors
    /// When it may not be killed, or lives on because it sleeps in the kernel.
    pub(super) fn kill(&self) -> Result<String, Error> {
        let pid = self.identity.pid;
        pidfd_send_signal(&self.fd, Signal::KILL)
            .map_err(Error::call(format!("send SIGKILL to pid {pid}")))?;
        if !self.has_ended(DEATH) {
            return Err(Error::StillThere { pid, seconds: DEATH.as_secs() });
        }
        Ok(format!("pid {pid} has ended"))
    }

    /// Lets it go on, if a signal has stopped it.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub(super) fn go_on(&self) -> Result<String, Error> {
        let pid = self.identity.pid;
        pidfd_send_signal(&self.fd, Signal::CONT)
            .map_err(Error::call(format!("send SIGCONT to pid {pid}")))?;
        Ok(format!("sent SIGCONT to pid {pid}"))
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Field 22 of `/proc/PID/stat`; the name before it may contain anything, also `)`.
fn start_time(pid: i32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = text.iter().rposition(|byte| *byte == b')')? + 2;
    let rest = std::str::from_utf8(text.get(after..)?).ok()?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A sleeping child, ended with the test.
    pub(in crate::heal) struct Sleeper(pub(in crate::heal) Child);

    impl Sleeper {
        pub(in crate::heal) fn new() -> Self {
            Self(Command::new("sleep").arg("1000").spawn().unwrap())
        }

        pub(in crate::heal) fn identity(&self) -> Identity {
            let pid = i32::try_from(self.0.id()).unwrap();
            Identity { pid, start_time: start_time(pid).unwrap() }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ended = self.0.kill();
            let _reaped = self.0.wait();
        }
    }

    #[test]
    fn a_pid_that_was_given_to_another_process_is_left_alone() {
        let mut sleeper = Sleeper::new();
        let mut identity = sleeper.identity();
        identity.start_time -= 1;
        let refused = hold(identity).unwrap_err().to_string();
        assert!(refused.contains("another one"), "{refused}");
        assert!(sleeper.0.try_wait().unwrap().is_none(), "it lives");
    }

    #[test]
    fn a_process_that_has_ended_is_not_taken_for_its_zombie() {
        let mut sleeper = Sleeper::new();
        let identity = sleeper.identity();
        sleeper.0.kill().unwrap();
        while !matches!(fs::read_to_string(format!("/proc/{}/stat", identity.pid)), Ok(text) if text.contains(") Z "))
        {
        }
        assert!(hold(identity).is_err());
    }

    #[test]
    fn a_stopped_process_goes_on() {
        let sleeper = Sleeper::new();
        let pid = sleeper.identity().pid;
        let wait_for = |state: &str| {
            let begun = std::time::Instant::now();
            while !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(state) {
                assert!(begun.elapsed().as_secs() < 60, "still not{state}");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        };
        let held = hold(sleeper.identity()).unwrap();
        pidfd_send_signal(&held.fd, Signal::STOP).unwrap();
        wait_for(") T ");
        held.go_on().unwrap();
        wait_for(") S ");
    }

    #[test]
    fn exactly_the_process_that_was_found_is_ended() {
        let (mut meant, mut other) = (Sleeper::new(), Sleeper::new());
        hold(meant.identity()).unwrap().kill().unwrap();
        assert!(meant.0.try_wait().unwrap().is_some());
        assert!(other.0.try_wait().unwrap().is_none());
    }
}
