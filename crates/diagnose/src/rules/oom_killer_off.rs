//! A memory group at its limit whose OOM killer is switched off: whoever needs memory sleeps for ever.
//!
//! *What it sees*: `under_oom 1` and `oom_kill_disable 1` in `memory.oom_control` of a container or an ancestor, and
//! who sleeps in `mem_cgroup_oom_synchronize` because of it. The runtime's own child is the blocker if it is among
//! them: exec, inspect, stats and a restart of the engine wait behind it.
//!
//! *Why it happens*: `docker run --oom-kill-disable`, on cgroup v1. The memory of `runc init` counts for the container.
//!
//! *How to confirm*: `cat memory.oom_control`; state D in `ps`. Do not attach strace to it and do not read its
//! `cmdline`: both sleep as well.
//!
//! *What to do*: end the runtime's child, which sleeps killably; then give memory, or switch the killer on.
//!
//! *What that costs*: the exec fails. With the killer on, the kernel ends a process of the container.
//!
//! Source: Documentation/admin-guide/cgroup-v1/memory.rst, section 10; failure class EX-50.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::{members, subject};
use crate::snapshot::{Cgroup, Process, Role};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let starved = |group: &&Cgroup| {
        let memory = group.memory.as_ref();
        memory.is_some_and(|memory| memory.under_oom == Some(true) && memory.oom_kill_disable == Some(true))
    };
    let groups = view.snapshot.cgroups.iter().filter(starved);
    groups.filter_map(|group| finding(view, group)).collect()
}

fn finding(view: &View<'_>, group: &Cgroup) -> Option<Finding> {
    let (containers, processes) = members(view, group);
    let asleep = |process: &&&Process| process.threads.iter().any(build::is_out_of_memory);
    let sleepers: Vec<&Process> = processes.iter().filter(asleep).copied().collect();
    let helper = sleepers.iter().find(|process| view.role(process.pid) == Role::RuntimeInit);
    let blocker = helper.or(sleepers.first()).copied()?;
    let severity = if helper.is_some() { Severity::Critical } else { Severity::Warning };
    let limit = group.memory.as_ref().and_then(|memory| memory.max).unwrap_or_default();
    let title = format!(
        "{} sleeps for memory: the limit of {limit} bytes is reached and the OOM killer is off",
        view.label(blocker)
    );
    let graph = containers.first().map(|id| build::around_container(view, id)).unwrap_or_default();
    let mut finding = Finding::new(
        "oom_killer_off",
        &format!("{}/{}", subject(&containers, group), blocker.pid),
        severity,
        title,
    )
    .class("EX-50")
    .container((containers.len() == 1).then(|| containers[0]))
    .blocker(
        Some(blocker.pid),
        &view.name(blocker),
        format!("memory of {}, of which nothing is left", group.directory),
    )
    .chain(graph.chain_to(&build::process_key(blocker.pid)))
    .evidence(format!("{}/memory.oom_control", group.directory), "oom_kill_disable 1, under_oom 1");
    for process in &sleepers {
        finding = finding.evidence(
            format!("/proc/{}/stat", process.pid),
            format!("{} sleeps in mem_cgroup_oom_synchronize", view.label(process)),
        );
    }
    Some(with_remedies(finding, helper.copied(), group))
}

fn with_remedies(mut finding: Finding, helper: Option<&Process>, group: &Cgroup) -> Finding {
    if let Some(helper) = helper {
        let process = Identity { pid: helper.pid, start_time: helper.start_time };
        let kill = format!("end the runtime's child {} with SIGKILL", helper.pid);
        finding = finding.remedy(
            Remedy::act("kill", kill, Action::Kill { process })
                .costs("this exec fails; the container stays without memory, so the next exec sleeps as well")
                .may_follow("whatever waited for the exec is answered at once"),
        );
    }
    finding
        .remedy(
            Remedy::act(
                "killer",
                "switch the OOM killer on",
                Action::EnableOomKiller { group: group.directory.clone() },
            )
            .costs("the kernel ends a process of the container, perhaps its main one")
            .may_follow("the container may stop, and be started again by whoever watches it"),
        )
        .remedy(
            Remedy::advise("raise", "raise the limit (docker update --memory, --memory-swap)")
                .costs("memory of the host"),
        )
}
