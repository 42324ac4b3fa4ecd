//! A container that runs although its shim is gone.
//!
//! *What it sees*: processes of a task of containerd, and no shim for it.
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
use crate::snapshot::Container;
use crate::view::View;

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
    Some(
        Finding::new("lost_shim", container.id.get(..12).unwrap_or(&container.id), Severity::Critical, title)
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
