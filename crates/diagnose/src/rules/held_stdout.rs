//! The output of an exec that has ended, held open by a process it left behind.
//!
//! *What it sees*: a process of a container that was handed to the container's init, and that still has the write end of
//! a pipe which the shim reads and which is not the container's own output.
//!
//! *Why it happens*: `sh -c 'server &'`: the shell ends, its child keeps standard output. Whoever waits for the end of
//! the output waits for that child: `ExecSync` for minutes or for ever, dockerd for two seconds, `runc exec` for ever.
//!
//! *How to confirm*: `ls -l /proc/PID/fd`, the same pipe in the shim.
//!
//! *What to do*: redirect the output of what is to stay (`server >/dev/null 2>&1 &`); end the one that holds it now.
//!
//! *What that costs*: that process.
//!
//! Source: failure class EX-26.

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Fd, Pipe, Process, Role};
use crate::view::View;

/// Younger ones may be about to end.
const PATIENCE_MS: u64 = 1_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let old = |process: &&Process| view.snapshot.age_ms(process) >= PATIENCE_MS;
    view.with_role(Role::InContainer).filter(old).filter_map(|process| finding(view, process)).collect()
}

fn finding(view: &View<'_>, process: &Process) -> Option<Finding> {
    let id = view.container_of(process)?;
    let container = view.container(id)?;
    let init = view.snapshot.process(container.init?)?;
    // Handed over: its parent has ended. Whoever init itself started has init's own output.
    if process.pid == init.pid || process.ppid != init.pid || process.session == init.session {
        return None;
    }
    let (fd, pipe) = process.fds.iter().find_map(|fd| held(view, process, fd, init))?;
    let shim = pipe
        .readers
        .iter()
        .map(|end| end.pid)
        .find(|pid| matches!(view.role(*pid), Role::Shim | Role::Conmon | Role::Runtime))?;
    let reader = view.snapshot.process(shim).map(|shim| view.label(shim))?;
    let identity = Identity { pid: process.pid, start_time: process.start_time };
    let title = format!("{} holds the output of an exec that has ended", view.label(process));
    Some(
        Finding::new(
            "held_stdout",
            &format!("{}/{}", short(Some(id)), process.pid),
            Severity::Warning,
            title,
        )
        .class("EX-26")
        .container(Some(id))
        .blocker(
            Some(process.pid),
            &view.name(process),
            format!("nothing; {reader} waits for it to close descriptor {}", fd.number),
        )
        .evidence(
            format!("/proc/{}/fd/{}", process.pid, fd.number),
            format!("pipe:[{}], read by {reader}", pipe.inode),
        )
        .evidence(
            format!("/proc/{}/stat", process.pid),
            format!("parent is the container's init {}, session {} is another's", init.pid, process.session),
        )
        .remedy(Remedy::advise(
            "redirect",
            "let what is to stay redirect its output: COMMAND >/dev/null 2>&1 &",
        ))
        .remedy(
            Remedy::act(
                "kill",
                format!("end process {} with SIGKILL", process.pid),
                Action::Kill { process: identity },
            )
            .costs("that process, which an exec started in the container"),
        ),
    )
}

/// A pipe that the process writes to, that a process of the host reads, and that is no output of init.
fn held<'a, 'b>(
    view: &View<'a>,
    process: &'b Process,
    fd: &'b Fd,
    init: &Process,
) -> Option<(&'b Fd, &'a Pipe)> {
    let inode = fd.pipe().filter(|_| fd.writes())?;
    let pipe = view.snapshot.pipe(inode)?;
    let of_init = init.fds.iter().any(|other| other.pipe() == Some(inode));
    let other_writer =
        pipe.writers.iter().any(|end| end.pid != process.pid && view.role(end.pid) != Role::InContainer);
    let session_lives = view.snapshot.process(process.session).is_some();
    (!of_init && !other_writer && !session_lives).then_some((fd, pipe))
}
