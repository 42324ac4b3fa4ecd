//! A shim that keeps nothing.
//!
//! *What it sees*: a shim older than a minute without children, whose containers have no process.
//!
//! *Why it happens*: the shutdown of the shim was skipped after an error or a deadline, or its service is stuck on a
//! lock and cannot be told to end. Each costs some ten megabytes, and a stuck one lets calls for its container hang.
//!
//! *How to confirm*: it is still there a minute later; `ctr task ls` shows the task, or does not know it.
//!
//! *What to do*: remove the container by force; if the shim stays, end it.
//!
//! *What that costs*: nothing runs in it.
//!
//! Source: failure classes DE-06 and IN-06.

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::snapshot::{Process, Role};
use crate::view::View;

/// A shim lives shortly before its container begins and after it has ended.
const PATIENCE_MS: u64 = 60_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let idle = |shim: &&Process| view.snapshot.age_ms(shim) >= PATIENCE_MS && keeps_nothing(view, shim);
    view.with_role(Role::Shim).filter(idle).map(|shim| finding(view, shim)).collect()
}

fn keeps_nothing(view: &View<'_>, shim: &Process) -> bool {
    let mut kept = view.snapshot.containers.iter().filter(|container| container.shim == Some(shim.pid));
    view.children(shim.pid).next().is_none() && kept.all(|container| container.processes.is_empty())
}

fn finding(view: &View<'_>, shim: &Process) -> Finding {
    let container = shim.option("-id");
    let process = Identity { pid: shim.pid, start_time: shim.start_time };
    let title = format!("{} has no process to keep, {} after its start", view.label(shim), view.age(shim));
    Finding::new("idle_shim", &shim.pid.to_string(), Severity::Notice, title)
        .class("DE-06")
        .container(container)
        .blocker(Some(shim.pid), &view.name(shim), "to be told to shut down")
        .evidence(format!("/proc/{}/task", shim.pid), "no children, and no process in its containers' groups")
        .remedy(Remedy::advise("remove", "remove the container by force through its engine"))
        .remedy(
            Remedy::act("kill", "end the shim with SIGKILL", Action::Kill { process })
                .costs("containerd cleans the task up as one that was lost, exit status 137 or 255"),
        )
}
