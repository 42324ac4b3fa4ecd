//! A runtime, or its child, that has long been in uninterruptible sleep; or a container's process that is ending and
//! sleeps on.
//!
//! *What it sees*: state D in a runtime's process that is older than any exec should be, or in a container's process to
//! which a SIGKILL is on its way, in every look at a live node, with the place in the kernel, the stack, and file systems
//! in user space that owe answers. A container's process that sleeps so and is not ending may wait for a slow disk. One
//! that is ending may as well, for seconds: that is a notice, unless it waits for a file system in user space that owes
//! answers, the kernel's log calls it blocked, or a `docker stop`, `kill` or `rm` has waited half a minute for it.
//!
//! *Why it happens*: a network or FUSE file system without its server, a broken disk, a file system that a backup has
//! frozen, a lock of the kernel that somebody holds. The shim waits for the runtime, and everybody else for the shim; a
//! container whose process does not die cannot be stopped (`tried to kill container, but did not receive an exit event`).
//!
//! *How to confirm*: `/proc/PID/wchan`, `/proc/PID/stack`; the kernel's own `blocked for more than 120 seconds`.
//!
//! *What to do*: bring the server back, thaw the file system (`fsfreeze -u`); nothing else ends a process in this sleep,
//! and killing it once more does not either.
//!
//! *What that costs*: a backup for which the file system was frozen, and that is still at work, is not consistent.
//!
//! Source: failure classes DE-01 and NO-05.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::rules::{frozen_exec, short};
use crate::snapshot::{KernelLine, Mount, Process, Role, Thread};
use crate::view::View;

/// A runtime's step takes milliseconds; a disk under load, seconds.
const PATIENCE_MS: u64 = 10_000;

/// A client has waited for this long when a process that it has ended is surely stuck. Milliseconds.
const ENDING_MS: u64 = 30_000;

/// `SIGKILL` among pending signals: of a kill, or of a thread that ends the others.
const KILLED: u64 = 1 << (rustix::process::Signal::KILL.as_raw() - 1);

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let helpers = view.snapshot.processes.iter().filter(|process| {
        matches!(view.role(process.pid), Role::Runtime | Role::RuntimeInit)
            && view.snapshot.age_ms(process) >= PATIENCE_MS
    });
    let helpers =
        helpers.filter_map(|helper| Some(finding(view, helper, asleep(view, helper)?, Severity::Critical)));
    helpers.chain(ending(view)).collect()
}

/// The processes of containers that are ending and do not, one for each container.
fn ending(view: &View<'_>) -> Vec<Finding> {
    let killed = view.with_role(Role::InContainer).filter(|process| process.signals_pending & KILLED != 0);
    let mut sleepers: Vec<(&Process, &Thread, Severity)> = killed
        .filter_map(|process| {
            let thread = asleep(view, process)?;
            let severity =
                if is_stuck(view, process, thread) { Severity::Critical } else { Severity::Notice };
            Some((process, thread, severity))
        })
        .collect();
    sleepers.sort_by_key(|(_, _, severity)| Reverse(*severity));
    let mut told = BTreeSet::new();
    sleepers.retain(|(process, _, _)| process.container.as_deref().is_none_or(|id| told.insert(id)));
    sleepers.into_iter().map(|(process, thread, severity)| finding(view, process, thread, severity)).collect()
}

/// Whether it is told for sure that a process that is ending will not end by itself.
fn is_stuck(view: &View<'_>, process: &Process, thread: &Thread) -> bool {
    let in_fuse = ["request_wait_answer", "fuse_", "__fuse_"].iter().any(|place| thread.sleeps_in(place));
    let started_us = view.snapshot.started_ms(process) * 1000;
    let is_blocked = || blocked(view, process).any(|line| line.at_us >= started_us);
    in_fuse && owing(view).next().is_some() || is_blocked() || is_waited_for(view, process)
}

/// Whether a client that ends the container has waited for longer than the time it gives the container, and some more.
fn is_waited_for(view: &View<'_>, process: &Process) -> bool {
    let waits = |client: &Process| {
        build::grace_ms(client).is_some_and(|grace| view.snapshot.age_ms(client) >= grace + ENDING_MS)
    };
    let mut clients = view.with_role(Role::Client).filter(|client| waits(client));
    process.container.as_deref().is_some_and(|id| clients.any(|client| build::names(view, client, id)))
}

fn finding(view: &View<'_>, helper: &Process, thread: &Thread, severity: Severity) -> Finding {
    let (place, _) = place(thread);
    let container = view.container_of(helper);
    let graph = container.map(|id| build::around_container(view, id)).unwrap_or_default();
    let age = view.known_age(helper).map_or_else(String::new, |age| format!(", {age} old"));
    let is_helper = view.role(helper.pid) != Role::InContainer;
    let says = if is_helper { "sleeps" } else { "is ending, and sleeps" };
    let title = format!("{} {says} uninterruptibly in {place}{age}", view.label(helper));
    let subject = format!("{}/{}", short(container), helper.pid);
    let finding = Finding::new("d_state_helper", &subject, severity, title)
        .momentary()
        .class("DE-01")
        .container(container)
        .blocker(Some(helper.pid), &view.name(helper), format!("the kernel, in {place}"))
        .chain(graph.chain_to(&build::process_key(helper.pid)));
    evidence(view, helper, thread, finding).remedy(remedy(thread))
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
    for mount in owing(view) {
        finding = finding
            .evidence(&mount.mount_point, format!("{} of {} owes answers", mount.fs_type, mount.source));
    }
    for line in blocked(view, helper) {
        finding = finding.evidence("kernel log", &line.text);
    }
    finding
}

/// The file systems in user space that owe answers.
fn owing<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Mount> {
    view.snapshot.mounts.iter().filter(|mount| mount.fuse_waiting.is_some_and(|waiting| waiting > 0))
}

/// What the kernel has said of a process that it found blocked.
fn blocked<'a>(view: &View<'a>, process: &Process) -> impl Iterator<Item = &'a KernelLine> {
    let known = format!(":{} blocked for more than", process.pid);
    view.snapshot.kernel_log.iter().filter(move |line| line.text.contains(&known))
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

/// Whether it wants to write to a file system that was frozen: a writer itself waits to read the lock that a freeze takes.
/// Others take such locks as well, to write or further below a writer: cgroups, and file systems for themselves.
fn is_held_up_by_a_freeze(thread: &Thread) -> bool {
    let waits =
        |name: &&str| matches!(*name, "percpu_rwsem_wait" | "__percpu_down_read" | "percpu_down_read");
    let writes = ["mnt_want_write", "sb_start_write", "__sb_start_write", "vfs_write", "file_update_time"];
    // A compiler marks its variants of a function: `NAME.isra.0`.
    let names = thread.stack.iter().map(|name| name.split('.').next().unwrap_or_default());
    let mut callers = names.skip_while(|name| !waits(name)).skip_while(waits);
    callers.next().is_some_and(|caller| writes.contains(&caller))
}
