//! A daemon, a shim or a kubelet that was stopped by a signal.
//!
//! *What it sees*: a part of the chain all of whose threads are in state `T`, or held by a tracer (`t`).
//!
//! *Why it happens*: SIGSTOP by hand, by a checkpoint that went wrong or by a tool that wanted a quiet process; a debugger
//! whose person went away. It accepts connections and answers none: every exec, inspect and probe behind it hangs, and
//! no deadline of its own can fire.
//!
//! *How to confirm*: `ps -o stat` says `T` or `t`; `TracerPid` of its `/proc/PID/status` names the tracer.
//!
//! *What to do*: let it go on with SIGCONT, or end its tracer.
//!
//! *What that costs*: whoever stopped it wanted it to stand still; everything that waits is answered at once, late.
//!
//! Source: failure class IN-02; what a stopped dockerd does to a container that writes is LO-01.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::snapshot::{Process, Role};
use crate::view::View;

/// Whoever stands still with everybody behind it.
const PARTS: [Role; 6] =
    [Role::Engine, Role::Containerd, Role::Crio, Role::Kubelet, Role::Shim, Role::Conmon];

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let parts = PARTS.into_iter().flat_map(|role| view.with_role(role));
    parts.filter_map(|part| Some(finding(view, part, Stop::of(part)?))).collect()
}

/// What keeps a process from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Signal,
    Tracer,
}

impl Stop {
    /// A tracer that only looks on stops one thread at a time.
    fn of(process: &Process) -> Option<Self> {
        let all = |state: char| {
            process.state == state && process.threads.iter().all(|thread| thread.state == state)
        };
        match process.state {
            'T' if all('T') => Some(Self::Signal),
            't' if all('t') => Some(Self::Tracer),
            _ => None,
        }
    }

    fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::Signal => ("stopped by a signal", "SIGCONT: it was stopped by a signal"),
            Self::Tracer => ("held by a tracer", "its tracer, TracerPid of its /proc/PID/status"),
        }
    }
}

fn finding(view: &View<'_>, part: &Process, stop: Stop) -> Finding {
    let (says, waits_for) = stop.says();
    let title = format!("{} is {says}: whoever asks it has no answer", view.label(part));
    let finding = Finding::new("stopped_daemon", &part.pid.to_string(), Severity::Critical, title);
    let finding = match view.role(part.pid) {
        Role::Engine | Role::Containerd | Role::Crio => finding.class("IN-02"),
        Role::Shim | Role::Conmon => finding.container(view.container_of(part)),
        _ => finding,
    };
    let finding = if stop == Stop::Signal { finding } else { finding.momentary() };
    let clients = view
        .with_role(Role::Client)
        .filter(|client| build::daemon_of(view, client).is_some_and(|it| it.pid == part.pid));
    let finding = finding
        .blocker(Some(part.pid), &view.name(part), waits_for)
        .evidence(format!("/proc/{}/stat", part.pid), format!("state {} in every thread", part.state));
    let finding = match clients.count() {
        0 => finding,
        count => finding.evidence("processes", format!("{count} clients are connected to it")),
    };
    finding.remedy(remedy(view, part, stop))
}

fn remedy(view: &View<'_>, part: &Process, stop: Stop) -> Remedy {
    let late = "everything that waits for it is answered at once, late";
    if stop == Stop::Tracer {
        return Remedy::advise("detach", "end its tracer: TracerPid of its /proc/PID/status")
            .may_follow(late);
    }
    let process = Identity { pid: part.pid, start_time: part.start_time };
    let what = format!("let {} go on with SIGCONT", view.label(part));
    Remedy::act("continue", what, Action::Continue { process })
        .costs("whoever stopped it wanted it to stand still")
        .may_follow(late)
}
