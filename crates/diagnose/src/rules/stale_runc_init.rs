//! A runtime's child that nobody waits for any more.
//!
//! *What it sees*: `runc init` older than a minute whose runtime is gone.
//!
//! *Why it happens*: a deadline ended `runc create` or `runc exec` and not its child; or a container was created and
//! never started. The state is half written: `does not exist` for kill, `already exists` for create.
//!
//! *How to confirm*: its parent is the shim or process 1; a created container has an `exec.fifo` without reader.
//!
//! *What to do*: end it, then remove the container by force.
//!
//! *What that costs*: a container that somebody still wants to start is gone.
//!
//! Source: failure class ST-12.

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// From create to start it is milliseconds; kubelet's own deadline is two minutes.
const PATIENCE_MS: u64 = 60_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let old = |helper: &&Process| {
        view.snapshot.age_ms(helper) >= PATIENCE_MS && view.role(helper.ppid) != Role::Runtime
    };
    view.with_role(Role::RuntimeInit).filter(old).map(|helper| finding(view, helper)).collect()
}

fn finding(view: &View<'_>, helper: &Process) -> Finding {
    let container = view.container_of(helper);
    let parent = view
        .snapshot
        .process(helper.ppid)
        .map_or_else(|| helper.ppid.to_string(), |parent| view.label(parent));
    let process = Identity { pid: helper.pid, start_time: helper.start_time };
    let title = format!("{} was left behind {} ago", view.label(helper), view.age(helper));
    Finding::new("stale_runc_init", &format!("{}/{}", short(container), helper.pid), Severity::Warning, title)
        .class("ST-12")
        .container(container)
        .blocker(
            Some(helper.pid),
            &view.name(helper),
            format!("a runtime that is gone; its parent is {parent}"),
        )
        .evidence(
            format!("/proc/{}", helper.pid),
            format!("{}, parent {parent}, {} old", view.label(helper), view.age(helper)),
        )
        .remedy(
            Remedy::act("kill", format!("end process {} with SIGKILL", helper.pid), Action::Kill { process })
                .costs("a container that was created and is still to be started is gone"),
        )
}
