//! A container at its memory limit in which the kernel already kills, or that its limit kills as it starts.
//!
//! *What it sees*: usage at the limit, at the container's level or above, *and* a count of killed processes there, or a
//! line of the kernel's log of the last ten minutes that names the limit of this group for a kill below it (EX-45). Usage
//! at the limit alone is what a page cache does. In the same log: a group in which the runtime itself was killed, when
//! nobody else was in it (ST-01).
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
use crate::snapshot::cgroup::Memory;
use crate::snapshot::{Cgroup, KernelLine};
use crate::view::View;

/// For how long a kill that only the kernel's log tells is told. Milliseconds.
const MEMORY_MS: u64 = 600_000;

/// How the line begins that says why a process was killed.
const KILL: &str = "oom-kill:constraint=CONSTRAINT_MEMCG,";

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let groups = view.snapshot.cgroups.iter();
    let full = groups.filter_map(|group| finding(view, group, group.memory.as_ref()?));
    full.chain(killed_start::check(view)).collect()
}

/// Processes that the limit of this group has killed: in it, all that were counted; below it, what the kernel's log of
/// the last ten minutes says.
///
/// Kernel: a kill is counted at the group of the process, on v2 also at all above it, whosever limit it was. `oom_memcg=`
/// names that one, since 5.0.
fn killed(view: &View<'_>, group: &Cgroup, memory: &Memory) -> u64 {
    let own = memory.local_events.oom_kill.or(memory.events.oom_kill).unwrap_or_default();
    let below = recent_kills(view).filter(|kill| kill.limit == group.path && kill.task != group.path);
    below.fold(own, |sum, _| sum + 1)
}

/// A kill for the limit of a group, as the kernel logs it.
struct Kill<'a> {
    /// Path of the group whose limit it was.
    limit: &'a str,
    /// Path of the group of the process.
    task: &'a str,
}

/// Kills for a limit in the last ten minutes.
fn recent_kills<'a>(view: &View<'a>) -> impl Iterator<Item = Kill<'a>> {
    recent(view).filter_map(|line| {
        let fields = line.text.strip_prefix(KILL)?;
        Some(Kill { limit: field(fields, "oom_memcg=")?, task: field(fields, "task_memcg=")? })
    })
}

/// What the kernel has logged in the last ten minutes.
fn recent<'a>(view: &View<'a>) -> impl Iterator<Item = &'a KernelLine> {
    let since_ms = view.snapshot.taken.since_boot_ms.saturating_sub(MEMORY_MS);
    view.snapshot.kernel_log.iter().filter(move |line| line.at_us / 1000 >= since_ms)
}

/// The first of the fields behind [`KILL`] that begins so.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.split(',').find_map(|field| field.strip_prefix(name))
}

fn finding(view: &View<'_>, group: &Cgroup, memory: &Memory) -> Option<Finding> {
    if !memory.is_full() || memory.oom_kill_disable == Some(true) {
        return None;
    }
    let killed = killed(view, group, memory);
    if killed == 0 {
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
            .evidence(format!("kills for the limit of {}", group.directory), killed.to_string())
            .evidence("processes of the group", most(&processes))
            .remedy(Remedy::advise("raise", raise(group)).costs("memory of the host"))
            .remedy(Remedy::advise(
                "find",
                "find what fills it: a tmpfs mount counts, and killing does not empty it",
            )),
    )
}

/// Who sets the limit of such a group.
fn raise(group: &Cgroup) -> String {
    let name = group.path.rsplit('/').next().unwrap_or_default();
    if name.ends_with(".slice") {
        format!("raise the limit (the pod's limits, or systemctl set-property {name} MemoryMax=)")
    } else {
        String::from("raise the limit (docker update --memory, or the pod's limits)")
    }
}
