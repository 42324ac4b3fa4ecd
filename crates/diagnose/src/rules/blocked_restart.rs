//! An engine that does not serve because of one container.
//!
//! *What it sees*: an engine with connections at its socket that it does not accept, younger than a runtime that is
//! still at work below one of its containers' shims. An engine that was stopped by a signal accepts nothing either.
//!
//! *Why it happens*: at its start dockerd asks every container and waits for all of them; one whose shim is stuck keeps
//! the API of the whole node closed. Restarting the engine was the attempt to heal that container.
//!
//! *How to confirm*: `docker version` hangs; the engine's dump shows `daemon.restore` in `WaitGroup.Wait`.
//!
//! *What to do*: end the one process that the shim waits for, not the engine.
//!
//! *What that costs*: that exec fails.
//!
//! Source: failure class IN-07; measured: 10 minutes and 15 seconds, until the blocked process was ended.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::snapshot::socket::SocketState;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// A start takes a second or two.
const PATIENCE_MS: u64 = 3_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let waits = |engine: &&Process| {
        view.snapshot.age_ms(engine) >= PATIENCE_MS
            && !matches!(engine.state, 'T' | 't')
            && knocks(view, engine) > 0
    };
    view.with_role(Role::Engine).filter(waits).filter_map(|engine| finding(view, engine)).collect()
}

/// Connections at the engine's door.
fn knocks(view: &View<'_>, engine: &Process) -> u32 {
    let own = view.snapshot.sockets.iter().filter(|socket| socket.owners.contains(&engine.pid));
    own.filter(|socket| socket.state == SocketState::Listening)
        .filter_map(|socket| socket.receive_queue)
        .sum()
}

fn finding(view: &View<'_>, engine: &Process) -> Option<Finding> {
    let older = |process: &&Process| {
        process.start_time < engine.start_time && view.children(process.pid).next().is_none()
    };
    let stuck = view.with_role(Role::Runtime).chain(view.with_role(Role::RuntimeInit)).filter(older);
    let stuck = stuck
        .filter(|process| build::works_for(view, process, engine))
        .min_by_key(|process| process.start_time)?;
    let id = view.container_of(stuck);
    let top = view.started_by_shim(stuck);
    let process = Identity { pid: top.pid, start_time: top.start_time };
    let title = format!(
        "{} has not served since its start {} ago: one container does not answer",
        view.label(engine),
        view.age(engine)
    );
    let graph = id.map(|id| build::around_container(view, id)).unwrap_or_default();
    Some(
        Finding::new("blocked_restart", &engine.pid.to_string(), Severity::Critical, title)
            .class("IN-07")
            .container(id)
            .blocker(
                Some(stuck.pid),
                &view.name(stuck),
                format!("what it has waited for since {}, before the engine was started", view.age(stuck)),
            )
            .chain(graph.chain_to(&build::process_key(stuck.pid)))
            .evidence("the engine's socket", format!("{} connections are not accepted", knocks(view, engine)))
            .evidence(
                format!("/proc/{}", stuck.pid),
                format!("{}, {} old", view.label(stuck), view.age(stuck)),
            )
            .remedy(
                Remedy::act(
                    "kill",
                    format!("end process {} with SIGKILL", top.pid),
                    Action::Kill { process },
                )
                .costs("that exec fails")
                .may_follow("the engine goes on with its start; without live-restore it stops what ran"),
            ),
    )
}
