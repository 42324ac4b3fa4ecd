//! A shim that keeps nothing, and was left behind or does not answer.
//!
//! *What it sees*: a shim older than a minute without a living child, whose containers have no living process; and
//! either its working directory, the directory of its task, has been deleted (DE-06), or a client has asked about its
//! container for long (IN-06). A shim alone is no trouble: it keeps the exit status of a task that has ended until
//! somebody deletes the task, and `ctr run -d` and nerdctl leave that to people. Shims of virtual machines and sandboxes
//! have no children, so only those of runc and its like are looked at.
//!
//! *Why it happens*: containerd gave up on the shim after a deadline and deleted its task without it; or its service is
//! stuck on a lock and cannot be told to end. Each costs some ten megabytes, and a stuck one lets calls for its
//! container hang.
//!
//! *How to confirm*: `ls -l /proc/PID/cwd` says `(deleted)` and `ctr task ls` does not know the task; or the task is
//! there, and `ctr task delete` hangs.
//!
//! *What to do*: end the shim.
//!
//! *What that costs*: nothing runs in it.
//!
//! Source: failure classes DE-06 and IN-06; staged with containerd 1.6, restarted while a shim was stopped.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::snapshot::{Process, Role, role};
use crate::view::View;

/// A shim lives shortly before its container begins and after it has ended.
const PATIENCE_MS: u64 = 60_000;

/// A shim answers in milliseconds, and deletes a task in less than a second.
const PATIENCE_OF_CLIENTS_MS: u64 = 10_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let idle = |shim: &&Process| {
        view.snapshot.age_ms(shim) >= PATIENCE_MS && has_children_by_nature(shim) && keeps_nothing(view, shim)
    };
    view.with_role(Role::Shim).filter(idle).filter_map(|shim| finding(view, shim)).collect()
}

fn has_children_by_nature(shim: &Process) -> bool {
    let name = role::program(shim);
    matches!(name, "containerd-shim" | "docker-containerd-shim" | "docker-containerd-shim-current")
        || name.starts_with("containerd-shim-runc-")
        || name.starts_with("containerd-shim-sluice-")
}

fn keeps_nothing(view: &View<'_>, shim: &Process) -> bool {
    let mut kept = view.snapshot.containers.iter().filter(|container| container.shim == Some(shim.pid));
    let lives = |pid: &i32| view.snapshot.process(*pid).is_some_and(|process| process.state != 'Z');
    view.children(shim.pid).all(|child| child.state == 'Z')
        && kept.all(|container| !container.processes.iter().any(lives))
}

fn finding(view: &View<'_>, shim: &Process) -> Option<Finding> {
    let folder = shim.cwd.as_deref()?;
    if folder.ends_with(" (deleted)") {
        return Some(left_behind(view, shim, folder));
    }
    let clients = waiting(view, shim.option("-id")?);
    (!clients.is_empty()).then(|| unanswered(view, shim, &clients))
}

/// Clients that have asked about the container for long; who follows its output may do so.
fn waiting<'a>(view: &View<'a>, id: &str) -> Vec<&'a Process> {
    let asks = |client: &&Process| {
        view.snapshot.age_ms(client) >= PATIENCE_OF_CLIENTS_MS
            && !matches!(build::client_verb(client), Some("logs" | "attach" | "events"))
            && build::names(view, client, id)
    };
    view.with_role(Role::Client).filter(asks).collect()
}

fn left_behind(view: &View<'_>, shim: &Process, folder: &str) -> Finding {
    let title = format!("{} was left behind: its task was deleted without it", view.label(shim));
    let finding = about(view, shim, Severity::Warning, title).class("DE-06");
    finding
        .blocker(Some(shim.pid), &view.name(shim), "to be told to shut down, which nobody will do any more")
        .evidence(format!("/proc/{}/cwd", shim.pid), folder)
        .remedy(kill(shim).costs("nothing: nothing runs in it, and containerd has forgotten it"))
}

fn unanswered(view: &View<'_>, shim: &Process, clients: &[&Process]) -> Finding {
    let title = format!("{} has no process to keep and does not answer", view.label(shim));
    let mut finding = about(view, shim, Severity::Critical, title).class("IN-06").blocker(
        Some(shim.pid),
        &view.name(shim),
        "something of its own; its container has ended",
    );
    for client in clients.iter().take(8) {
        let text = format!("{} has asked {} ago", view.label(client), view.age(client));
        finding = finding.evidence(format!("/proc/{}", client.pid), text);
    }
    finding.remedy(
        kill(shim)
            .costs("containerd cleans the task up as one that was lost, exit status 137 or 255")
            .may_follow("whoever waits for the container is answered"),
    )
}

fn about(view: &View<'_>, shim: &Process, severity: Severity, title: String) -> Finding {
    Finding::new("idle_shim", &shim.pid.to_string(), severity, title)
        .container(shim.option("-id"))
        .evidence(format!("/proc/{}", shim.pid), format!("state {}, {} old", shim.state, view.age(shim)))
        .evidence(format!("/proc/{}/task", shim.pid), "no living child, and none in its containers' groups")
}

fn kill(shim: &Process) -> Remedy {
    let process = Identity { pid: shim.pid, start_time: shim.start_time };
    Remedy::act("kill", format!("end the shim {} with SIGKILL", shim.pid), Action::Kill { process })
}
