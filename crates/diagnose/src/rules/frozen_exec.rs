//! An exec that sleeps in the freezer of a paused container.
//!
//! *What it sees*: a runtime's child in a group that is frozen, itself or at an ancestor (EX-10); or one that sleeps in
//! the freezer although every group above it is thawed (EX-11).
//!
//! *Why it happens*: the container was paused while an exec was starting, or somebody told the runtime to ignore that
//! it is paused, or an old runtime does not look. On cgroup v1 not even SIGKILL ends a frozen process. A process that
//! joins a v1 group while it is frozen and thawed, as systemd and old runtimes do for each change of devices, can be
//! left behind.
//!
//! *How to confirm*: `freezer.state` or `cgroup.freeze` of every level; wchan `__refrigerator` or `do_freezer_trap`.
//!
//! *What to do*: resume the container. Move one that was left behind to another group and freeze and thaw that.
//!
//! *What that costs*: it runs again, against the will of whoever paused it.
//!
//! Source: failure classes EX-10 and EX-11; Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::cgroup::{Freezer, FreezerState};
use crate::snapshot::{Cgroup, Process, Role, Thread};
use crate::view::View;

/// A pause goes on for some milliseconds while it begins; an exec that is older than this waits.
const PATIENCE_MS: u64 = 300;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let helpers =
        view.with_role(Role::RuntimeInit).filter(|helper| view.snapshot.age_ms(helper) >= PATIENCE_MS);
    let found = helpers.filter_map(|helper| match build::frozen_by(view, helper) {
        Some(group) => finding(view, helper, group),
        None => left_behind(view, helper),
    });
    found.collect()
}

/// Whether a process that is no longer young sleeps in the freezer although every group above it was seen thawed. The
/// thaw may have come between the look at the process and that at its groups, so such a finding is looked for twice
/// ([`crate::diagnose::observe`]).
pub(super) fn is_left_behind(view: &View<'_>, helper: &Process) -> bool {
    let in_freezer = |thread: &Thread| thread.state == 'D' && thread.sleeps_in("__refrigerator");
    view.snapshot.age_ms(helper) >= THAW_MS
        && helper.threads.iter().any(in_freezer)
        && is_thawed(view, helper)
}

/// Whether there are groups that can be frozen above a process, and all were seen thawed; a root cannot be frozen.
fn is_thawed(view: &View<'_>, helper: &Process) -> bool {
    let mut groups = view.snapshot.chain(helper, "freezer");
    groups.retain(|group| group.path != "/");
    let thawed = |freezer: &Freezer| freezer.state == FreezerState::Thawed;
    !groups.is_empty() && groups.iter().all(|group| group.freezer.as_ref().is_some_and(thawed))
}

/// A thaw reaches every process of a group within this. Milliseconds.
const THAW_MS: u64 = 10_000;

fn left_behind(view: &View<'_>, helper: &Process) -> Option<Finding> {
    if !is_left_behind(view, helper) {
        return None;
    }
    let container = view.container_of(helper);
    let subject = format!("{}/{}", short(container), helper.pid);
    let title = format!("an exec sleeps in the freezer, {} old, and no group is frozen", view.age(helper));
    let mut finding = Finding::new("frozen_exec", &subject, Severity::Critical, title)
        .momentary()
        .class("EX-11")
        .container(container)
        .blocker(Some(helper.pid), &view.name(helper), "the freezer, which has forgotten it")
        .evidence(format!("/proc/{}/wchan", helper.pid), "__refrigerator");
    for group in view.snapshot.chain(helper, "freezer").into_iter().filter(|group| group.freezer.is_some()) {
        finding = finding.evidence(&group.directory, "thawed");
    }
    let rescue = "make a new group in the freezer hierarchy, write the pid to its cgroup.procs, then FROZEN and THAWED to its freezer.state";
    Some(finding.remedy(Remedy::advise("rescue", rescue).may_follow("the exec is carried out, late")))
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
