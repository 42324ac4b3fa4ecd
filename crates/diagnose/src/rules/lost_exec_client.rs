//! A client that waits for an exec of a container that has ended since.
//!
//! *What it sees*: `docker exec` (or the like), connected to its engine, older than the container's present init, or
//! naming a container without any process; in every look at a live node, as each stop of a container ends execs, unless
//! its new init has run for a while.
//!
//! *Why it happens*: the shim was killed, or containerd was down when the exec ended: the exit of the exec was never
//! reported, and the engine waits for it for ever.
//!
//! *How to confirm*: `docker exec` hangs, `docker ps` shows the container as ended or restarted.
//!
//! *What to do*: end the client; a restart of the engine would end all of them.
//!
//! *What that costs*: nothing but the answer, which cannot come.
//!
//! Source: failure class IN-05; staged with dockerd 20.10: still there after 18 s.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Container, Process, Role};
use crate::view::View;

/// The engine itself needs a moment to see that a container has ended.
const PATIENCE_MS: u64 = 3_000;

/// An engine that has started a container anew has long told the clients of the one before. Milliseconds.
const RESTARTED_MS: u64 = 15_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let waits = |client: &&Process| {
        build::client_verb(client) == Some("exec") && view.snapshot.age_ms(client) >= PATIENCE_MS
    };
    let clients = view.with_role(Role::Client).filter(waits);
    clients.filter_map(|client| finding(view, client, asked_for(view, client)?)).collect()
}

/// The one container that a client names.
fn asked_for<'a>(view: &View<'a>, client: &Process) -> Option<&'a Container> {
    let mut named =
        view.snapshot.containers.iter().filter(|container| build::names(view, client, &container.id));
    named.next().filter(|_| named.next().is_none())
}

fn finding(view: &View<'_>, client: &Process, container: &Container) -> Option<Finding> {
    let init = container.init.and_then(|pid| view.snapshot.process(pid)).filter(|init| init.state != 'Z');
    let alive = init.is_some() || !container.processes.is_empty();
    let restarted = init.is_some_and(|init| init.start_time > client.start_time);
    if alive && !restarted {
        return None;
    }
    let engine = build::daemon_of(view, client)?;
    let since = if restarted { "was started again since" } else { "has ended" };
    let title = format!(
        "{} has waited {} for an exec in a container that {since}",
        view.label(client),
        view.age(client)
    );
    let subject = format!("{}/{}", short(Some(&container.id)), client.pid);
    let finding = Finding::new("lost_exec_client", &subject, Severity::Warning, title);
    let long = init.is_some_and(|init| restarted && view.snapshot.age_ms(init) >= RESTARTED_MS);
    let finding = if long { finding } else { finding.momentary() };
    let connected = format!("connected to {}, {} old", view.label(engine), view.age(client));
    let finding = finding
        .class("IN-05")
        .container(Some(&container.id))
        .blocker(Some(engine.pid), &view.name(engine), "the end of an exec, which nobody will report")
        .evidence(format!("/proc/{}", client.pid), connected)
        .evidence("the container", since);
    Some(finding.remedy(remedy(client)))
}

fn remedy(client: &Process) -> Remedy {
    let identity = Identity { pid: client.pid, start_time: client.start_time };
    let what = format!("end the client {} with SIGKILL", client.pid);
    Remedy::act("kill", what, Action::Kill { process: identity })
        .costs("its caller sees exit status 137 instead of an answer that cannot come")
}
