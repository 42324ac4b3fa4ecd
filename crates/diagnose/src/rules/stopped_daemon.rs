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
    parts.filter_map(|part| Some(finding(view, part, Halt::of(part)?))).collect()
}

/// What may follow when somebody who stood still goes on.
pub(super) const LATE: &str = "everything that waits for it is answered at once, late";

/// Who keeps a process from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    Signal,
    Tracer,
}

impl Halt {
    /// A tracer that only looks on stops one thread at a time.
    pub(super) fn of(process: &Process) -> Option<Self> {
        let halt = Self::by_state(process.state)?;
        process.threads.iter().all(|thread| thread.state == process.state).then_some(halt)
    }

    /// What the state of a thread says. Source: proc_pid_stat(5).
    pub(super) fn by_state(state: char) -> Option<Self> {
        match state {
            'T' => Some(Self::Signal),
            't' => Some(Self::Tracer),
            _ => None,
        }
    }

    pub(super) fn waits_for(self) -> &'static str {
        match self {
            Self::Signal => "SIGCONT: it was stopped by a signal",
            Self::Tracer => "its tracer, TracerPid of its /proc/PID/status",
        }
    }

    pub(super) fn remedy(self, view: &View<'_>, process: &Process) -> Remedy {
        if self == Self::Tracer {
            return Remedy::advise("detach", "end its tracer: TracerPid of its /proc/PID/status")
                .may_follow(LATE);
        }
        let what = format!("let {} go on with SIGCONT", view.label(process));
        let process = Identity { pid: process.pid, start_time: process.start_time };
        Remedy::act("continue", what, Action::Continue { process })
            .costs("whoever stopped it wanted it to stand still")
            .may_follow(LATE)
    }
}

fn finding(view: &View<'_>, part: &Process, halt: Halt) -> Finding {
    let says = if halt == Halt::Signal { "stopped by a signal" } else { "held by a tracer" };
    let title = format!("{} is {says}: whoever asks it has no answer", view.label(part));
    let finding = Finding::new("stopped_daemon", &part.pid.to_string(), Severity::Critical, title);
    let finding = match view.role(part.pid) {
        Role::Engine | Role::Containerd | Role::Crio => finding.class("IN-02"),
        Role::Shim | Role::Conmon => finding.container(view.container_of(part)),
        _ => finding,
    };
    let finding = if halt == Halt::Signal { finding } else { finding.momentary() };
    let clients = view
        .with_role(Role::Client)
        .filter(|client| build::daemon_of(view, client).is_some_and(|it| it.pid == part.pid));
    let finding = finding
        .blocker(Some(part.pid), &view.name(part), halt.waits_for())
        .evidence(format!("/proc/{}/stat", part.pid), format!("state {} in every thread", part.state));
    let finding = match clients.count() {
        0 => finding,
        count => finding.evidence("processes", format!("{count} clients are connected to it")),
    };
    finding.remedy(halt.remedy(view, part))
}
