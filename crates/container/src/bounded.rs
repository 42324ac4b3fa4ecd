//! A look into a container's files that cannot hang the command: a short-lived child tries it first.
//!
//! **Invariant:** the command has one thread, so that the child may use all of its memory.

use launch::Process;
use launch::process::{Reap, ended, wait_dead};
use rustix::fd::AsFd;
use std::time::Duration;
use sys::clone::{Clone3, Parent, Side, clone3};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether `look` comes to an end; a look that does not is killed.
///
/// Without a child, for want of memory or processes, nothing is looked at.
pub(crate) fn answers(look: impl FnOnce()) -> bool {
    let how = Clone3 { namespaces: 0, cgroup: None, parent: Parent::Caller };
    match clone3(&how) {
        Ok(Side::Child) => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
            sys::clone::exit(0)
        }
        Ok(Side::Parent { pid, pidfd }) => ends(&Process { pid, pidfd }),
        Err(errno) => {
            log::warn!("make a process that looks into the container: {errno}");
            false
        }
    }
}

fn ends(looker: &Process) -> bool {
    // One that hangs in a file system may outlive its kill; it dies with the answer.
    const KILLED: Duration = Duration::from_millis(500);
    let dead = |limit| matches!(wait_dead(looker.pidfd.as_fd(), limit), Ok(true));
    let in_time = dead(LIMIT);
    if !in_time {
        let _ = rustix::process::pidfd_send_signal(&looker.pidfd, rustix::process::Signal::KILL);
    }
    if !in_time && !dead(KILLED) {
        log::warn!("process {} looks into the container and does not end", looker.pid);
        return false;
    }
    if let Err(error) = ended(looker, Reap::Yes) {
        log::debug!("{error}");
    }
    in_time
}
