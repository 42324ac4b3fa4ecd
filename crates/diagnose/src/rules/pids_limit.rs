//! A group of a container, or one above it, has no room for another process.
//!
//! *What it sees*: `pids.current` at `pids.max`, at the container's own level or at any ancestor (pod, slice, service),
//! or so close that the threads of a stock runtime do not fit; the counter of refusals; who fills the group. A service
//! of daemons and shims (`TasksMax=`) counts as well, without any container in it.
//!
//! *Why it happens*: joining a full group is never refused on v1, making a thread in it is. `runc init` is a Go program
//! that needs five to seven threads beside itself, so `docker exec` and every exec probe fail now and then with
//! `read init-p: connection reset by peer` or `procReady not received`, while crun gets through.
//!
//! *How to confirm*: `cat pids.current pids.max pids.events` of every level; the same exec succeeds with crun.
//!
//! *What to do*: end what leaks; raise the limit meanwhile.
//!
//! *What that costs*: a higher limit is a number in the kernel, but the leak goes on.
//!
//! Source: failure classes EX-02 and EX-04; field measurements: 0 to 4 free places fail with runc 1.1.5, 5 do not.

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Remedy};
use crate::rules::{members, most, subject};
use crate::snapshot::cgroup::Pids;
use crate::snapshot::{Cgroup, Process, Role};
use crate::view::View;

/// Places that a stock runtime may need at once.
const WANTED: u64 = 5;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let groups = view.snapshot.cgroups.iter();
    groups
        .filter_map(|group| finding(view, group, group.pids.as_ref()?).or_else(|| by_hand(view, group)))
        .collect()
}

/// A limit that was printed by hand, beside the words of a runtime that was refused a thread.
fn by_hand(view: &View<'_>, group: &Cgroup) -> Option<Finding> {
    let max = group.pids.as_ref().filter(|pids| pids.current.is_none())?.max?;
    let mut lines = view.snapshot.logs.iter();
    let refused =
        lines.find(|line| line.text.contains("pthread_create failed: Resource temporarily unavailable"))?;
    let file = format!("{}/pids.max", group.directory);
    let title = format!("a runtime was refused a thread; the limit is {max} in {}", group.directory);
    Some(
        Finding::new("pids_limit", &group.path, Severity::Warning, title)
            .class("EX-04")
            .blocker(None, "pids.max", format!("a place in {}", group.directory))
            .evidence(file, max.to_string())
            .evidence(&refused.source, &refused.text),
    )
}

/// Whether it is a daemon or a shim: with a driver that puts containers elsewhere, its service has none of them.
fn starts_containers(view: &View<'_>, process: &Process) -> bool {
    let role = view.role(process.pid);
    matches!(role, Role::Engine | Role::Containerd | Role::Crio | Role::Kubelet | Role::Shim | Role::Conmon)
}

fn finding(view: &View<'_>, group: &Cgroup, pids: &Pids) -> Option<Finding> {
    let (current, max) = (pids.current?, pids.max?);
    // A limit below the runtime's own needs was chosen by somebody; only a group that is full says that it hurts.
    let crowded = current.saturating_add(WANTED) > max && max > WANTED * 2;
    if !pids.is_full() && !crowded {
        return None;
    }
    let (containers, processes) = members(view, group);
    if containers.is_empty() && !processes.iter().any(|process| starts_containers(view, process)) {
        return None;
    }
    let title = title(pids, &group.directory)?;
    let severity = if pids.is_full() { Severity::Warning } else { Severity::Notice };
    let mut finding = Finding::new("pids_limit", &subject(&containers, group), severity, title)
        .class("EX-04")
        .container((containers.len() == 1).then(|| containers[0]))
        .blocker(None, "pids.max", format!("a place in {}: {current} of {max} are taken", group.directory))
        .evidence(format!("{}/pids.max", group.directory), max.to_string())
        .evidence(format!("{}/pids.current", group.directory), current.to_string());
    if let Some(refused) = pids.refused.filter(|refused| *refused > 0) {
        finding = finding.evidence(
            format!("{}/pids.events", group.directory),
            format!("max {refused}: so many forks were refused"),
        );
    }
    let end = Remedy::advise("end", format!("end what fills the group: {}", most(&processes)))
        .costs("what is ended, and the container if it is its program");
    finding = finding.evidence("processes of the group", most(&processes));
    Some(finding.remedy(raise(group, max)).remedy(end))
}

fn title(pids: &Pids, directory: &str) -> Option<String> {
    let (current, max) = (pids.current?, pids.max?);
    Some(if pids.is_full() {
        format!("no place for another process: {current} of {max} in {directory}")
    } else {
        let left = max.saturating_sub(current);
        format!("{left} places left for a runtime that needs {WANTED}: {current} of {max} in {directory}")
    })
}

/// Half as many again, and at least room for two runtimes.
fn raise(group: &Cgroup, max: u64) -> Remedy {
    let raised = max.saturating_add(max.max(WANTED * 4) / 2);
    let file = format!("{}/pids.max", group.directory);
    let action = Action::RaiseLimit { file, from: max.to_string(), to: raised.to_string() };
    Remedy::act("raise", format!("raise the limit from {max} to {raised}"), action)
        .costs("more processes may be made in this group; systemd or the engine may set it back")
        .may_follow("if something leaks, the group is full again later")
}
