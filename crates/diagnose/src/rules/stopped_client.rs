//! A client that was stopped and does not take the output of a container.
//!
//! *What it sees*: a `docker attach`, `run`, `start` or `exec` that was stopped by a signal, and to which its engine can
//! send no more: the queue of their connection takes as much memory as a host grants unless it was told otherwise.
//!
//! *Why it happens*: Ctrl-Z in a terminal, a job in the background that wants to read from its terminal, a script that was
//! stopped. The engine waits with what the container writes, so the container's program stops in write(2) when its pipes
//! are full; when it is stopped or killed, the engine waits for the client before it notices: `docker stop` hangs and
//! `docker ps` says `Up` for as long.
//!
//! *How to confirm*: `ps -o pid,stat,args -C docker` says `T`; `ss -xp` shows the queue of the engine's end.
//!
//! *What to do*: let the client go on with SIGCONT (`fg`), or end it.
//!
//! *What that costs*: whoever ends it ends somebody's session; the program runs on without it.
//!
//! Source: failure class LO-01; staged with dockerd 20.10: `docker stop -t 2` still waits after twelve seconds.

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::rules::stopped_daemon::Halt;
use crate::snapshot::{Container, Process, Role};
use crate::view::View;

/// Verbs that take a container's output as it is written; `logs` reads it from a file.
const TAKERS: [&str; 5] = ["attach", "exec", "run", "start", "up"];

/// Verbs that wait for the end of a container.
const ENDERS: [&str; 5] = ["stop", "kill", "rm", "restart", "down"];

/// So much queue memory, which is more than the bytes in it, lets the engine's next write wait.
///
/// Kernel: `net.core.wmem_default`, `SK_WMEM_DEFAULT` in include/net/sock.h: a sender waits once it has taken as much
/// (`sock_alloc_send_pskb`). dockerd, containerd and docker set no `SO_SNDBUF`.
const FULL: u32 = 212_992;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let takes = |client: &&Process| build::client_verb(client).is_some_and(|verb| TAKERS.contains(&verb));
    view.with_role(Role::Client).filter(takes).filter_map(|client| finding(view, client)).collect()
}

fn finding(view: &View<'_>, client: &Process) -> Option<Finding> {
    let halt = Halt::of(client).filter(|halt| *halt == Halt::Signal)?;
    let engine = build::daemon_of(view, client)?;
    let queued = queued(view, client).filter(|queued| *queued >= FULL)?;
    let container = view.snapshot.containers.iter().find(|it| build::names(view, client, &it.id));
    let ender = container.and_then(|container| ender(view, client, container));
    let (label, from) = (view.label(client), view.label(engine));
    let behind = if ender.is_some() {
        "the end of its container is not noticed"
    } else {
        "what writes to it stands still"
    };
    let title = format!("{label} is stopped and takes nothing from {from}: {behind}");
    let severity = if ender.is_some() { Severity::Critical } else { Severity::Warning };
    let id = container.map(|container| container.id.as_str());
    let subject = format!("{}/{}", short(id), client.pid);
    let asks = |who: &Process| Link { who: view.label(who), waits_for: format!("{from} to answer") };
    let below = [
        Link { who: from.clone(), waits_for: format!("{label} to take what was sent to it") },
        Link { who: label.clone(), waits_for: halt.waits_for().to_owned() },
    ];
    let finding = Finding::new("stopped_client", &subject, severity, title)
        .class("LO-01")
        .container(id)
        .blocker(Some(client.pid), &view.name(client), halt.waits_for())
        .chain(ender.map(asks).into_iter().chain(below).collect())
        .evidence(format!("/proc/{}/stat", client.pid), "state T in every thread")
        .evidence(
            format!("socket of {from}"),
            format!("{queued} bytes of queue memory; from {FULL} on a write waits"),
        );
    // While a container ends, its client may be about to be told so.
    let finding = if ender.is_some() { finding.momentary() } else { finding };
    Some(finding.remedy(halt.remedy(view, client)).remedy(kill(client)))
}

/// Queue memory of what a daemon has sent to a client and it has not taken; of its fullest connection.
fn queued(view: &View<'_>, client: &Process) -> Option<u32> {
    let own = client.fds.iter().filter_map(|fd| view.snapshot.socket(fd.socket()?));
    own.filter_map(|socket| view.snapshot.socket(socket.peer?)?.send_queue).max()
}

/// A client that waits for the end of the container, whose processes are gone.
fn ender<'a>(view: &View<'a>, stopped: &Process, container: &Container) -> Option<&'a Process> {
    let mut clients = view.with_role(Role::Client).filter(|client| {
        client.pid != stopped.pid
            && build::client_verb(client).is_some_and(|verb| ENDERS.contains(&verb))
            && build::names(view, client, &container.id)
    });
    clients.next().filter(|_| container.processes.is_empty())
}

fn kill(client: &Process) -> Remedy {
    let process = Identity { pid: client.pid, start_time: client.start_time };
    Remedy::act("kill", format!("end the client {} with SIGKILL", client.pid), Action::Kill { process })
        .costs("the session of whoever stopped it")
        .may_follow("the program runs on, and nobody sees its output")
}
