//! A birth in namespaces that the caller can join but not visit.
//!
//! A caller without capabilities has them only inside of a user namespace of its own making, and there is no way back
//! out of it. One that has them in such a namespace cannot return to what belongs to the host. So a go-between goes in
//! and makes the child as its sibling.
//!
//! ```text
//!     parent                     go-between                           child
//!       | ------ clone3 ------------> |                                 |
//!       |                             | oom_score_adj, undumpable       |
//!       |                             | setns: user, pid for children   |
//!       |                             | ----- clone3, CLONE_PARENT ---> | (in the cgroup)
//!       | <----- pid or refusal ----- | exits                           |
//!       | ------------------------ go on ---------------------------->  |
//! ```
//!
//! The child waits for that word, so that none runs of which the parent does not know: when the go-between dies before
//! it tells the pid, or the parent gives up, the pipe closes and the child ends.
//!
//! **Invariant:** the go-between lives outside of the container's pid namespace, so that nobody in there can see it
//! while its files in `/proc` are its own.

use crate::Error;
use crate::process::{Process, Reap, ended, timespec, wait_dead};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::time::{Duration, Instant};
use sys::clone::{Clone3, Parent, Side, clone3, new};

/// The way in.
#[derive(Clone, Copy, Debug)]
pub struct Through<'a> {
    /// A process whose user namespace gives the right to the others.
    pub user_namespace_of: Option<BorrowedFd<'a>>,
    /// The procfs of the caller's pid namespace.
    pub proc: BorrowedFd<'a>,
    /// `oom_score_adj` as decimal text: the child, whose files in `/proc` are root's, could not set it.
    pub oom_score: &'a [u8],
}

/// How long a few system calls may take on a machine that stands still.
const LIMIT: Duration = Duration::from_secs(10);

/// What was refused, by its number in the go-between's message; 0 is none.
const STEPS: [fn(Errno) -> Error; 5] =
    [Error::OomScore, Error::Undumpable, Error::UserNamespace, Error::PidNamespace, Error::Clone];

/// As `clone3` with a process of that user namespace as the caller, and a child of this process as the outcome.
///
/// # Errors
/// The step that was refused, of the go-between too.
pub(crate) fn clone(
    through: &Through<'_>,
    pid_namespace_of: Option<BorrowedFd<'_>>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Side, Error> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::ReportChannel)?;
    let (gate, opener) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::ReportChannel)?;
    let how = Clone3 { namespaces: 0, cgroup: None, parent: Parent::Caller };
    match clone3(&how).map_err(Error::Clone)? {
        Side::Parent { pid, pidfd } => {
            drop(theirs);
            let process = await_birth(&ours, &Process { pid, pidfd })?;
            // `gate` is still open here, so that a child that is dead already costs no SIGPIPE.
            rustix::io::retry_on_intr(|| rustix::io::write(&opener, &[0])).map_err(Error::ReportChannel)?;
            drop(gate);
            Ok(Side::Parent { pid: process.pid, pidfd: process.pidfd })
        }
        Side::Child => {
            // Else the child would never see that nobody is left to open the gate.
            drop(opener);
            let message = match go_in(through, pid_namespace_of, cgroup) {
                Ok(Side::Child) if may_go_on(&gate) => return Ok(Side::Child),
                Ok(Side::Child) => sys::clone::exit(1),
                Ok(Side::Parent { pid, .. }) => (0, pid),
                Err((step, errno)) => (step, errno.raw_os_error()),
            };
            let _ = rustix::io::write(&theirs, &bytes(message));
            sys::clone::exit(0)
        }
    }
}

/// In the child: whether the parent knows of it; `false` when the parent is gone or gave up.
fn may_go_on(gate: &OwnedFd) -> bool {
    let mut word = [0];
    matches!(rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut word)), Ok(1))
}

fn bytes((step, value): (u8, i32)) -> [u8; 5] {
    let [a, b, c, d] = value.to_ne_bytes();
    [step, a, b, c, d]
}

/// In the go-between: allocates nothing.
#[inline(never)]
fn go_in(
    through: &Through<'_>,
    pid_namespace_of: Option<BorrowedFd<'_>>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Side, (u8, Errno)> {
    let step = |number| move |errno| (number, errno);
    sys::open::for_writing(through.proc, c"self/oom_score_adj")
        .and_then(|file| rustix::io::write(&file, through.oom_score))
        .map_err(step(1))?;
    // The child can be seen in the container from its birth, with a copy of this memory.
    sys::prctl::set_undumpable().map_err(step(2))?;
    if let Some(process) = through.user_namespace_of {
        sys::namespace::join(process, new::USER).map_err(step(3))?;
    }
    if let Some(process) = pid_namespace_of {
        sys::namespace::join(process, new::PID).map_err(step(4))?;
    }
    clone3(&Clone3 { namespaces: 0, cgroup, parent: Parent::Grandparent }).map_err(step(5))
}

/// The child, which is this process's own: its pid stays its own until it is reaped here.
fn await_birth(pipe: &OwnedFd, go_between: &Process) -> Result<Process, Error> {
    let heard = hear(pipe, go_between);
    let _ = rustix::process::pidfd_send_signal(&go_between.pidfd, Signal::KILL);
    let _ = wait_dead(go_between.pidfd.as_fd(), LIMIT);
    let _ = ended(go_between, Reap::Yes);
    let [step, value @ ..] = heard?;
    let value = i32::from_ne_bytes(value);
    if let Some(refused) = usize::from(step).checked_sub(1).and_then(|index| STEPS.get(index)) {
        return Err(refused(Errno::from_raw_os_error(value)));
    }
    let pid = Pid::from_raw(value).ok_or(Error::Clone(Errno::SRCH))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| {
        end(pid);
        Error::Clone(errno)
    })?;
    Ok(Process { pid: value, pidfd })
}

/// Ends a child that has no pidfd: nobody else reaps it, so the pid is still its own.
fn end(child: Pid) {
    let _ = rustix::process::kill_process(child, Signal::KILL);
    let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(child), WaitOptions::empty()));
}

/// A go-between that is killed on its way says nothing.
fn hear(pipe: &OwnedFd, go_between: &Process) -> Result<[u8; 5], Error> {
    let wait = |source| Error::Wait { pid: go_between.pid, source };
    let until = Instant::now() + LIMIT;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timespec(left))) {
            Ok(0) => return Err(wait(Errno::TIMEDOUT)),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(wait(errno)),
        }
    }
    let mut message = [0; 5];
    match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut message)) {
        Ok(5) => Ok(message),
        Ok(_) => Err(wait(Errno::CHILD)),
        Err(errno) => Err(wait(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_goes_on_by_the_word_of_its_parent_alone() {
        let (gate, opener) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        rustix::io::write(&opener, &[0]).unwrap();
        assert!(may_go_on(&gate));
        drop(opener);
        assert!(!may_go_on(&gate), "nobody is left to give it");
    }

    #[test]
    fn a_child_without_a_pidfd_is_ended_and_reaped() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        end(Pid::from_child(&child));
        assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(Errno::CHILD.raw_os_error()));
    }

    #[test]
    fn each_step_of_the_go_between_has_its_own_error() {
        let all = STEPS.map(|error| std::mem::discriminant(&error(Errno::PERM)));
        assert!((1..all.len()).all(|index| !all[..index].contains(&all[index])));
    }
}
