//! What a verb that is killed leaves: the other runtime that it had called, with all that this one had started.
//!
//! An orphan would go on and do late what has been undone meanwhile: freeze a container that is said to run. It is found
//! by its session, which is that of the verb's process. A process of the container has a session of its own: runtimes
//! call setsid(2) before its program. One that does not can be hit by the verb that made it alone, `create` or `exec`, and
//! what a verb was to make is given up with it; the other verbs make no process of the container.

use std::time::{Duration, Instant};

use proc::Procfs;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Has this process begin the session by which its orphans are found.
pub(super) fn begin_session() {
    // Refused to the leader of a process group only, which a verb is not.
    if let Err(errno) = rustix::process::setsid() {
        log::warn!("begin a session for another runtime: {errno}");
    }
}

/// Kills whoever is in the session, and gives those that have not ended within `limit`. Its leader must not be reaped
/// meanwhile: as long as it is there, the number is nobody else's.
#[must_use]
pub(super) fn kill_session(leader: i32, limit: Duration) -> Vec<i32> {
    const PAUSE: Duration = Duration::from_millis(1);
    let deadline = Instant::now() + limit;
    let proc = match Procfs::host() {
        Ok(proc) => proc,
        Err(error) => {
            log::warn!("{error}");
            return Vec::new();
        }
    };
    loop {
        // Again and again: who is being born while it is looked for is found the next time.
        let left: Vec<i32> = proc.pids().into_iter().filter(|pid| is_member(&proc, *pid, leader)).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        left.iter().for_each(|pid| kill(&proc, *pid, leader));
        std::thread::sleep(PAUSE);
    }
}

fn is_member(proc: &Procfs, pid: i32, leader: i32) -> bool {
    proc.stat(pid).is_ok_and(|stat| stat.session == leader && !stat.is_dead())
}

/// A pid counts only if it is a member's after the pidfd was opened: it is nobody else's then.
fn kill(proc: &Procfs, pid: i32, leader: i32) {
    let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(pidfd) = pidfd
        && is_member(proc, pid, leader)
    {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn a_session_ends_with_its_groups_and_the_next_session_does_not() {
        let script = "sleep 1000 & setsid sh -c 'echo $$; exec sleep 1000' & set -m; sleep 1000 & wait";
        let mut child =
            Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let leader = i32::try_from(child.id()).unwrap();
        assert_eq!(kill_session(leader, Duration::from_secs(20)), Vec::<i32>::new());
        assert!(child.wait().unwrap().code().is_none(), "its leader was killed, too");
        let other: i32 = line.trim().parse().unwrap();
        let proc = Procfs::host().unwrap();
        assert!(is_member(&proc, other, other), "process {other} has a session of its own");
        assert_eq!(kill_session(other, Duration::from_secs(20)), Vec::<i32>::new());
    }
}
