//! An exec that sleeps in the freezer of a paused container.
//!
//! *What it sees*: a runtime's child in a group that is frozen, itself or at an ancestor.
//!
//! *Why it happens*: the container was paused while an exec was starting, or somebody told the runtime to ignore that
//! it is paused, or an old runtime does not look. On cgroup v1 not even SIGKILL ends a frozen process.
//!
//! *How to confirm*: `freezer.state` or `cgroup.freeze` of every level; wchan `__refrigerator` or `do_freezer_trap`.
//!
//! *What to do*: resume the container.
//!
//! *What that costs*: it runs again, against the will of whoever paused it.
//!
//! Source: failure classes EX-10 and EX-11; Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Cgroup, Process, Role};
use crate::view::View;

/// A pause goes on for some milliseconds while it begins; an exec that is older than this waits.
const PATIENCE_MS: u64 = 300;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let helpers =
        view.with_role(Role::RuntimeInit).filter(|helper| view.snapshot.age_ms(helper) >= PATIENCE_MS);
    helpers.filter_map(|helper| finding(view, helper, build::frozen_by(view, helper)?)).collect()
}

fn finding(view: &View<'_>, helper: &Process, group: &Cgroup) -> Option<Finding> {
    let container = view.container_of(helper);
    let runtime = view.snapshot.process(helper.ppid)?;
    let mut graph = container.map(|id| build::around_container(view, id)).unwrap_or_default();
    if graph.find(&build::process_key(helper.pid)).is_none() {
        graph = build::runtime(view, runtime);
    }
    let subject = format!("{}/{}", short(container), helper.pid);
    let identity = Identity { pid: helper.pid, start_time: helper.start_time };
    let title = format!("an exec has waited {} in a frozen container", view.age(helper));
    Some(
        Finding::new("frozen_exec", &subject, Severity::Critical, title)
            .class("EX-10")
            .container(container)
            .blocker(Some(helper.pid), &view.name(helper), format!("the freezer {} to thaw", group.directory))
            .chain(graph.chain_to(&build::process_key(helper.pid)))
            .evidence(&group.directory, "frozen, and told so itself")
            .evidence(format!("/proc/{}", helper.pid), format!("{}, state {}", view.label(helper), helper.state))
            .evidence(format!("/proc/{}", runtime.pid), format!("{} waits for it", view.label(runtime)))
            .remedy(
                Remedy::act("thaw", "thaw the group", Action::Thaw { group: group.directory.clone() })
                    .costs("the container runs again; an engine that paused it still calls it paused until it is resumed there")
                    .may_follow("the exec is carried out, late"),
            )
            .remedy(
                Remedy::act("kill", format!("end the runtime's child {} with SIGKILL", helper.pid), Action::Kill { process: identity })
                    .costs("the exec fails; on cgroup v1 it ends only when the group thaws"),
            ),
    )
}
