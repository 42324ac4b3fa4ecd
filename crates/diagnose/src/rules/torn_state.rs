//! A state file that is not whole.
//!
//! *What it sees*: a runtime's `state.json` (crun: `status`) that is no whole JSON text, always or in some of several
//! reads, and who rewrites it.
//!
//! *Why it happens*: a runtime that rewrites its state in place, and an updater that calls it again and again (kubelet's
//! CPU manager does every ten seconds): an exec that reads at the wrong moment says `EOF` or `unexpected EOF`. Or a
//! crash left half a file: then nothing works on that container, not even its removal.
//!
//! *How to confirm*: the same exec succeeds when tried again; `runc --version` is older than 1.0.0-rc91.
//!
//! *What to do*: stop the updater for now, and take a runtime that replaces the file as a whole.
//!
//! *What that costs*: limits are not updated meanwhile.
//!
//! Source: failure class EX-01; a report from the field about `exec failed: EOF`.

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Fd, FdTarget, Process, Role, RuntimeState, StateFile};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let torn = |state: &&RuntimeState| matches!(state.file, StateFile::Torn { .. }) || state.torn_reads > 0;
    view.snapshot.runtime_states.iter().filter(torn).map(|state| finding(view, state)).collect()
}

fn finding(view: &View<'_>, state: &RuntimeState) -> Finding {
    let updater = updater(view, state);
    let always = state.torn_reads == state.reads && updater.is_none();
    let title = if always {
        format!("the state of the container is not whole: {}", state.path)
    } else {
        format!("the state of the container is rewritten in place: {}", state.path)
    };
    let finding = Finding::new("torn_state", short(Some(&state.id)), Severity::Critical, title)
        .class("EX-01")
        .container(Some(&state.id))
        .evidence(
            &state.path,
            format!(
                "{} of {} reads were torn, {} bytes",
                state.torn_reads,
                state.reads,
                state.size.unwrap_or_default()
            ),
        );
    let finding = match &state.file {
        StateFile::Torn { error } => finding.evidence(&state.path, error),
        _ => finding,
    };
    match updater {
        Some(updater) => with_updater(finding, view, updater),
        None if always => finding.blocker(None, &state.path, "a whole text; it ends too early").remedy(
            Remedy::advise(
                "remove",
                "end the container's processes by their control group, then remove its state directory",
            )
            .costs("the container")
            .may_follow("its engine starts it again if it was told to"),
        ),
        None => finding
            .blocker(None, &state.path, "its updater, which was not caught with the file open")
            .remedy(Remedy::advise(
                "stop",
                "stop what updates this container (kubelet's CPU manager: cpuManagerPolicy none)",
            )),
    }
}

fn with_updater(finding: Finding, view: &View<'_>, updater: &Process) -> Finding {
    let identity = Identity { pid: updater.pid, start_time: updater.start_time };
    let finding = finding
        .blocker(Some(updater.pid), &view.name(updater), "nothing; it rewrites the file again and again")
        .evidence(
            format!("/proc/{}", updater.pid),
            format!("{} writes to it, or started who does", view.label(updater)),
        );
    let upgrade = Remedy::advise(
        "upgrade",
        "take a runtime that replaces its state as a whole: runc 1.0.0-rc91 or newer, crun",
    )
    .costs("containers that run are not touched");
    if view.role(updater.pid) != Role::Other {
        let stop = "stop what updates this container (kubelet's CPU manager: cpuManagerPolicy none)";
        return finding.remedy(Remedy::advise("stop", stop).costs("limits are not updated")).remedy(upgrade);
    }
    finding
        .remedy(
            Remedy::act(
                "kill",
                format!("end the updater {} with SIGKILL", updater.pid),
                Action::Kill { process: identity },
            )
            .costs("limits are not updated; if it was in the middle of writing, the file stays torn"),
        )
        .remedy(upgrade)
}

/// Who has the file open for writing; if that was started for one update, who started it and names the container.
fn updater<'a>(view: &View<'a>, state: &RuntimeState) -> Option<&'a Process> {
    let is_it = |fd: &Fd| matches!(&fd.target, FdTarget::Path { path } if *path == state.path);
    let has_it =
        |process: &&Process| view.role(process.pid) != Role::InContainer && process.fds.iter().any(is_it);
    let holder = view.snapshot.processes.iter().find(has_it)?;
    let names = |parent: &&Process| parent.args.iter().flatten().any(|word| word.contains(&state.id));
    let parent = view.snapshot.process(holder.ppid).filter(names);
    let young = view.snapshot.age_ms(holder) < YOUNG_MS;
    parent.filter(|_| young).or(Some(holder))
}

/// A process younger than this was started for one update.
const YOUNG_MS: u64 = 1_000;
