//! A runtime, or its child, that has long been in uninterruptible sleep; or a container's process that was killed and
//! sleeps on.
//!
//! *What it sees*: state D in a runtime's process that is older than any exec should be, or in a container's process to
//! which a SIGKILL is on its way, in every look at a live node, with the place in the kernel, the stack, and file systems
//! in user space that owe answers. A container's process that sleeps so and was not killed may wait for a slow disk.
//!
//! *Why it happens*: a network or FUSE file system without its server, a broken disk, a file system that a backup has
//! frozen, a lock of the kernel that somebody holds. The shim waits for the runtime, and everybody else for the shim; a
//! container whose process does not die cannot be stopped (`tried to kill container, but did not receive an exit event`).
//!
//! *How to confirm*: `/proc/PID/wchan`, `/proc/PID/stack`; the kernel's own `blocked for more than 120 seconds`.
//!
//! *What to do*: bring the server back, abort the FUSE connection, thaw the file system (`fsfreeze -u`); nothing else ends
//! a process in this sleep, and killing it once more does not either.
//!
//! *What that costs*: aborting a connection fails every request of it.
//!
//! Source: failure classes DE-01 and NO-05.

use std::collections::BTreeSet;

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::rules::{frozen_exec, short};
use crate::snapshot::{Process, Role, Thread};
use crate::view::View;

/// A runtime's step takes milliseconds; a disk under load, seconds.
const PATIENCE_MS: u64 = 10_000;

/// `SIGKILL` among pending signals.
const KILLED: u64 = 1 << (rustix::process::Signal::KILL.as_raw() - 1);

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let processes = || view.snapshot.processes.iter();
    let helpers = processes().filter(|process| {
        matches!(view.role(process.pid), Role::Runtime | Role::RuntimeInit)
            && view.snapshot.age_ms(process) >= PATIENCE_MS
    });
    let mut containers = BTreeSet::new();
    let killed = processes().filter(|process| {
        view.role(process.pid) == Role::InContainer && process.signals_pending & KILLED != 0
    });
    let killed = killed.filter_map(|process| {
        let finding = finding(view, process)?;
        containers.insert(process.container.as_deref()).then_some(finding)
    });
    helpers.filter_map(|helper| finding(view, helper)).chain(killed).collect()
}

fn finding(view: &View<'_>, helper: &Process) -> Option<Finding> {
    let thread = asleep(view, helper)?;
    let (place, _) = place(thread);
    let container = view.container_of(helper);
    let graph = container.map(|id| build::around_container(view, id)).unwrap_or_default();
    let age = view.known_age(helper).map_or_else(String::new, |age| format!(", {age} old"));
    let is_helper = view.role(helper.pid) != Role::InContainer;
    let says = if is_helper { "sleeps" } else { "was killed and does not end: it sleeps" };
    let title = format!("{} {says} uninterruptibly in {place}{age}", view.label(helper));
    let subject = format!("{}/{}", short(container), helper.pid);
    let finding = Finding::new("d_state_helper", &subject, Severity::Critical, title)
        .momentary()
        .class("DE-01")
        .container(container)
        .blocker(Some(helper.pid), &view.name(helper), format!("the kernel, in {place}"))
        .chain(graph.chain_to(&build::process_key(helper.pid)));
    Some(evidence(view, helper, thread, finding).remedy(remedy(thread)))
}

/// The thread that cannot be woken, unless another rule says why: a frozen cgroup, or memory that is short.
fn asleep<'a>(view: &View<'_>, helper: &'a Process) -> Option<&'a Thread> {
    let starved = build::starved_by(view, helper).is_some();
    let asleep = |thread: &&Thread| thread.state == 'D' && !(starved && build::is_out_of_memory(thread));
    let explained = || build::frozen_by(view, helper).is_some() || frozen_exec::is_left_behind(view, helper);
    helper.threads.iter().find(asleep).filter(|_| !explained())
}

/// Where in the kernel a thread sleeps, and the file of `/proc` that says so.
fn place(thread: &Thread) -> (&str, &'static str) {
    thread.place().unwrap_or(("an unknown place", "wchan"))
}

/// Where it sleeps, who owes answers, and what the kernel says of it.
fn evidence(view: &View<'_>, helper: &Process, thread: &Thread, mut finding: Finding) -> Finding {
    let (place, file) = place(thread);
    let directory = format!("/proc/{}/task/{}", helper.pid, thread.tid);
    finding = finding.evidence(format!("{directory}/{file}"), place);
    if !thread.stack.is_empty() {
        finding = finding.evidence(format!("{directory}/stack"), thread.stack.join(" < "));
    }
    let owes = |waiting: Option<u64>| waiting.is_some_and(|waiting| waiting > 0);
    for mount in view.snapshot.mounts.iter().filter(|mount| owes(mount.fuse_waiting)) {
        finding = finding
            .evidence(&mount.mount_point, format!("{} of {} owes answers", mount.fs_type, mount.source));
    }
    let known = format!(":{} blocked for more than", helper.pid);
    for line in view.snapshot.kernel_log.iter().filter(|line| line.text.contains(&known)) {
        finding = finding.evidence("kernel log", &line.text);
    }
    finding
}

fn remedy(thread: &Thread) -> Remedy {
    if build::is_out_of_memory(thread) {
        return Remedy::advise(
            "memory",
            "raise the memory limit of its group, or let the kernel kill there (memory.oom_control)",
        )
        .may_follow("whatever waited is carried out, late, or killed");
    }
    if is_held_up_by_a_freeze(thread) {
        return Remedy::advise(
            "unfreeze",
            "thaw the file system that it writes to (fsfreeze -u MOUNT_POINT), if a backup or a snapshot has left it frozen",
        )
        .costs("a backup that is still at work is not consistent")
        .may_follow("whatever waited is carried out, late");
    }
    Remedy::advise("server", "bring back what it waits for: the file server, the FUSE daemon, the disk; nothing ends this sleep otherwise")
        .may_follow("whatever waited is carried out, late")
}

/// Whether it wants to write to a file system that was frozen: the lock it waits for is taken by nobody else for long.
fn is_held_up_by_a_freeze(thread: &Thread) -> bool {
    let waits = thread.sleeps_in("percpu_rwsem_wait") || thread.sleeps_in("__percpu_down_read");
    let writes = ["mnt_want_write", "sb_start_write", "__sb_start_write", "vfs_write", "file_update_time"];
    waits && writes.iter().any(|function| thread.sleeps_in(function))
}
