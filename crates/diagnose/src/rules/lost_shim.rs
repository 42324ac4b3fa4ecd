//! A container that runs although its shim is gone.
//!
//! *What it sees*: processes of a task of containerd, and no shim for it. Where the kernel has given them another parent
//! that is enough; else they may be about to end, and it is looked for again.
//!
//! *Why it happens*: the shim was killed (out of memory, an operator, an upgrade) while containerd was down or did not
//! notice. Nobody reaps the container's processes, nobody reports their end; execs and stops fail.
//!
//! *How to confirm*: `docker ps` says `Up`, no `containerd-shim` names the container's id.
//!
//! *What to do*: start containerd, which cleans up after a lost shim by ending the container.
//!
//! *What that costs*: the container is restarted; there is no way to give it a new shim.
//!
//! Source: failure class IN-05.

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::{Container, Process, Role};
use crate::view::View;

/// A container is started within this: until then its processes have other parents too. Milliseconds.
const START_MS: u64 = 10_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let tasks = view.snapshot.tasks.iter().filter_map(|task| view.container(&task.id));
    tasks
        .filter(|container| container.shim.is_none())
        .filter_map(|container| finding(view, container))
        .collect()
}

fn finding(view: &View<'_>, container: &Container) -> Option<Finding> {
    let pid = container.init.or_else(|| container.processes.first().copied())?;
    let process = view.snapshot.process(pid).filter(|process| process.state != 'Z')?;
    let title = format!("{} runs in a container whose shim is gone", view.label(process));
    let subject = container.id.get(..12).unwrap_or(&container.id);
    let finding = Finding::new("lost_shim", subject, Severity::Critical, title);
    let finding = if is_adopted(view, process) { finding } else { finding.momentary() };
    Some(
        finding
            .class("IN-05")
            .container(Some(&container.id))
            .blocker(Some(pid), &view.name(process), "a shim to keep it and to report its end")
            .evidence(format!("/proc/{pid}"), format!("alive, parent {}", process.ppid))
            .evidence("processes of the host", "no shim has this container")
            .remedy(
                Remedy::advise("clean", "start containerd, or let it look again: it ends what lost its shim")
                    .costs("the container ends")
                    .may_follow("its engine starts it again if it was told to"),
            ),
    )
}

/// Whether the kernel gave a process that has long been there another parent, which is alive: its shim has ended. Of a
/// container that ended while the snapshot was taken the parent is the shim still, or nobody who was seen.
fn is_adopted(view: &View<'_>, process: &Process) -> bool {
    let is_stranger =
        |parent: &Process| matches!(view.role(parent.pid), Role::Other | Role::Engine | Role::Containerd);
    view.snapshot.age_ms(process) >= START_MS && view.snapshot.process(process.ppid).is_some_and(is_stranger)
}
