//! A runtime that has been at work for seconds, where milliseconds are usual, and waits for something in peace.
//!
//! *What it sees*: a runtime that a shim or conmon started (`exec`, `create`, `start`, `kill`, ...) more than ten seconds
//! ago, or podman or cri-o itself (`start`, `kill`, `delete`), of whose processes none runs, is frozen, sleeps
//! uninterruptibly or writes to a full pipe: those have rules of their own.
//!
//! *Why it happens*: a wrapper of the runtime, a hook or a plugin waits for something else: a lock, a server, a terminal. The
//! shim waits for the runtime, the exec for the shim, and an engine that holds the container's lock lets every
//! `inspect` of it queue. Podman's lock is held by the podman that waits; every `podman ps` of that user queues behind it.
//! With `--sdnotify=container` a `start` of podman lasts until the application says that it is ready, which may take long.
//!
//! *How to confirm*: `/proc/PID/syscall` and `/proc/PID/wchan` of the last process of the chain stay the same.
//!
//! *What to do*: see to what that process waits for, of a `start` of podman to the application first; else end the runtime.
//!
//! *What that costs*: that one exec, start or stop fails.
//!
//! Source: no failure class; measured: with a runtime that sleeps, `docker exec` and each `docker inspect` behind it hang.

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Process, Role, Thread, role};
use crate::view::View;

/// A runtime takes tens of milliseconds, on a busy node a few seconds, a hook for a network or a device the same.
const PATIENCE_MS: u64 = 10_000;

/// A container that says itself when it is ready (sd-notify) may have a `start` of podman wait for as long.
///
/// Compat: crun waits for `READY=1` on the `NOTIFY_SOCKET` that podman gives it (containers/podman#6688, #7316).
const READY_MS: u64 = 120_000;

/// Verbs that end by themselves; `run` does not.
const VERBS: [&str; 8] = ["exec", "create", "start", "delete", "kill", "pause", "resume", "update"];

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let runtimes = view.with_role(Role::Runtime).filter(|runtime| is_slow(view, runtime));
    runtimes.filter_map(|runtime| finding(view, runtime)).collect()
}

/// Whether a shim or conmon started it long ago, and waits for its end.
///
/// Other children of theirs (a logger, a virtual machine) are there for good: they have no such verb with its options.
fn is_slow(view: &View<'_>, runtime: &Process) -> bool {
    let words = || runtime.args.iter().flatten();
    let has = |names: &[&str]| words().any(|word| names.contains(&word.as_str()));
    let verb = build::verb(runtime).filter(|verb| VERBS.contains(verb));
    let ends = verb.is_some_and(|verb| verb != "exec" || has(&["--detach", "-d"]));
    let started = match view.role(runtime.ppid) {
        Role::Shim | Role::Conmon => has(&["--root", "--log"]),
        _ => is_called_by_engine(view, runtime),
    };
    started && ends && view.snapshot.age_ms(runtime) >= PATIENCE_MS
}

/// Whether podman or cri-o started it.
fn is_called_by_engine(view: &View<'_>, runtime: &Process) -> bool {
    let caller = view.snapshot.process(runtime.ppid);
    caller.is_some_and(|caller| role::calls_runtimes(view.role(caller.pid), caller))
        && view.container_of(runtime).is_some()
}

/// Whether the application may have it wait until it is ready.
fn may_be_notified(view: &View<'_>, runtime: &Process) -> bool {
    build::verb(runtime) == Some("start") && is_called_by_engine(view, runtime)
}

fn severity(view: &View<'_>, runtime: &Process) -> Severity {
    let is_early = may_be_notified(view, runtime) && view.snapshot.age_ms(runtime) < READY_MS;
    if is_early { Severity::Warning } else { Severity::Critical }
}

fn finding(view: &View<'_>, runtime: &Process) -> Option<Finding> {
    let family = view.family(runtime);
    if family.iter().any(|process| has_another_reason(view, process)) {
        return None;
    }
    let last = family.iter().rev().find(|process| view.snapshot.age_ms(process) >= PATIENCE_MS / 2)?;
    let container = view.container_of(runtime);
    let verb = build::verb(runtime).unwrap_or_default();
    let keeper = view.snapshot.process(runtime.ppid)?;
    let behind =
        if last.pid == runtime.pid { String::new() } else { format!(", behind {}", view.label(last)) };
    let title = format!(
        "{} has waited {} for {} to {verb}{behind}",
        view.label(keeper),
        view.age(runtime),
        view.label(runtime)
    );
    let mut chain = chain(view, (keeper, runtime), last);
    let waits_for = waits_for(last);
    chain.push(Link { who: view.label(last), waits_for: waits_for.clone() });
    let subject = format!("{}/{}", short(container), runtime.pid);
    let told = format!("{}, {} old", view.label(runtime), view.age(runtime));
    let call = format!("{}: {waits_for}", view.label(last));
    let finding = Finding::new("slow_runtime", &subject, severity(view, runtime), title)
        .momentary()
        .container(container)
        .blocker(Some(last.pid), &view.name(last), waits_for)
        .chain(chain)
        .evidence(format!("/proc/{}", runtime.pid), told)
        .evidence(format!("/proc/{}/syscall", last.pid), call);
    let ready = may_be_notified(view, runtime).then(ready);
    Some(ready.into_iter().fold(finding, Finding::remedy).remedy(kill(view, runtime, verb)))
}

/// The way down to the last process; where no shim or conmon is asked, from whoever called the runtime.
fn chain(view: &View<'_>, (keeper, runtime): (&Process, &Process), last: &Process) -> Vec<Link> {
    let key = build::process_key(last.pid);
    let container = view.container_of(runtime);
    let around = container.map(|id| build::around_container(view, id).chain_to(&key)).unwrap_or_default();
    if !around.is_empty() || matches!(view.role(keeper.pid), Role::Shim | Role::Conmon) {
        return around;
    }
    let waits_for = format!("{} to end", view.label(runtime));
    let first = Link { who: view.label(keeper), waits_for };
    let below = build::runtime(view, runtime).chain_to(&key);
    [vec![first], below].concat()
}

/// Whether it does something, or stands still for a reason that another rule names.
pub(super) fn has_another_reason(view: &View<'_>, process: &Process) -> bool {
    let is_at_rest = |thread: &Thread| thread.state == 'S' && view.writing_to(process, thread).is_none();
    !matches!(process.state, 'S' | 'Z')
        || !process.threads.iter().filter(|thread| thread.state != 'Z').all(is_at_rest)
        || build::frozen_by(view, process).is_some()
        || build::starved_by(view, process).is_some()
}

/// What the first thread of a process waits for, in words.
pub(super) fn waits_for(process: &Process) -> String {
    let first = process.threads.first();
    let call = first.and_then(|thread| thread.call.as_ref());
    match call.and_then(|call| Some((call.name.as_deref()?, call.fd))) {
        Some((name, Some(fd))) => format!("its system call {name} on descriptor {fd} to return"),
        Some((name, None)) => format!("its system call {name} to return"),
        None => String::from("something that only its stack shows"),
    }
}

fn ready() -> Remedy {
    let what = "with sd-notify (`podman run --sdnotify=container`) a start waits until the application says READY=1: \
                see to the application, or give it time";
    Remedy::advise("ready", what)
}

fn kill(view: &View<'_>, runtime: &Process, verb: &str) -> Remedy {
    let process = Identity { pid: runtime.pid, start_time: runtime.start_time };
    let what = format!("end the runtime {} with SIGKILL", view.label(runtime));
    Remedy::act("kill", what, Action::Kill { process })
        .costs(format!("that {verb} fails"))
        .may_follow("what it had started may run on; whoever queued behind it is answered at once")
}
