//! A container at its memory limit in which the kernel already kills, or that its limit kills as it starts.
//!
//! *What it sees*: usage at the limit, at the container's level or above, *and* a count of killed processes there (EX-45).
//! Usage at the limit alone is what a page cache does. In the kernel's log of the last ten minutes: a group in which the
//! runtime itself was killed, when nobody else was in it (ST-01).
//!
//! *Why it happens*: an exec's helper is charged to the container. It is killed (exit 137, often without a word), or the
//! kernel chooses the container's largest process instead: an exec probe can so end the workload. A limit below what the
//! runtime needs to start, a few megabytes, or one with the wrong unit, lets no container start.
//!
//! *How to confirm*: `memory.events` or `memory.oom_control`, `dmesg`; `docker inspect` says `OOMKilled: false` for an
//! exec that was killed.
//!
//! *What to do*: raise the limit, or find what fills it (a tmpfs is not freed by killing).
//!
//! *What that costs*: memory of the host.
//!
//! Source: failure classes EX-45 and ST-01.

mod killed_start;

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::rules::{members, most, subject};
use crate::snapshot::Cgroup;
use crate::snapshot::cgroup::Memory;
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let groups = view.snapshot.cgroups.iter();
    let full = groups.filter_map(|group| finding(view, group, group.memory.as_ref()?));
    full.chain(killed_start::check(view)).collect()
}

/// Processes killed because of the limit of this group, which may be several levels above them.
///
/// Kernel: a kill is counted at the group of the process, on v2 also at all above it; `oom` at the one whose limit it was.
fn killed(view: &View<'_>, group: &Cgroup, memory: &Memory) -> u64 {
    let own = memory.local_events.oom_kill.or(memory.events.oom_kill).unwrap_or_default();
    if memory.local_events.oom.is_some_and(|oom| oom > 0) {
        return own.max(memory.events.oom_kill.unwrap_or_default());
    }
    let below = view.snapshot.cgroups.iter().filter(|it| it.path != group.path);
    let below = below.filter(|it| group.holds(&it.hierarchy, &it.path));
    let without_fault = below.filter_map(|it| it.memory.as_ref()).filter(|it| it.failcnt == Some(0));
    own + without_fault.filter_map(|it| it.events.oom_kill).sum::<u64>()
}

fn finding(view: &View<'_>, group: &Cgroup, memory: &Memory) -> Option<Finding> {
    let killed = killed(view, group, memory);
    if !memory.is_full() || killed == 0 || memory.oom_kill_disable == Some(true) {
        return None;
    }
    let (containers, processes) = members(view, group);
    if containers.is_empty() {
        return None;
    }
    let (current, max) = (memory.current?, memory.max?);
    let title =
        format!("out of memory: {current} of {max} bytes in {}, {killed} killed so far", group.directory);
    Some(
        Finding::new("memory_limit", &subject(&containers, group), Severity::Warning, title)
            .class("EX-45")
            .container((containers.len() == 1).then(|| containers[0]))
            .blocker(
                None,
                "memory limit",
                format!("memory in {}: {current} of {max} bytes are taken", group.directory),
            )
            .evidence(format!("usage of {}", group.directory), format!("{current} of {max} bytes"))
            .evidence(format!("events of {} and below", group.directory), format!("oom_kill {killed}"))
            .evidence("processes of the group", most(&processes))
            .remedy(
                Remedy::advise("raise", "raise the limit (docker update --memory, or the pod's limits)")
                    .costs("memory of the host"),
            )
            .remedy(Remedy::advise(
                "find",
                "find what fills it: a tmpfs mount counts, and killing does not empty it",
            )),
    )
}
