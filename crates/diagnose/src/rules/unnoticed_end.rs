//! A container that has ended, and whose engine does not tell who waits for that.
//!
//! *What it sees*: a `docker stop` or `docker kill` of one container, older than five seconds, whose container has neither
//! a process nor a shim any more, in every look. Of several containers one may still take its time to end.
//!
//! *Why it happens*: before dockerd calls a container ended it hands on the rest of its output: to a log server (`syslog`,
//! `fluentd`, `gelf`, ...) that does not take it, to a disk that hangs, to a client that does not read; or it has missed
//! the event. `docker ps` says `Up` meanwhile, and the container can be neither started nor removed.
//!
//! *How to confirm*: `LogConfig` in `hostconfig.json` of the container's folder below dockerd's data-root; `ss -tnp` shows
//! a connection of dockerd with bytes in `Send-Q`; its dump has a goroutine in `CloseStreams`.
//!
//! *What to do*: bring the log server back; where there is none, start dockerd anew.
//!
//! *What that costs*: a restart of dockerd ends every container unless it has live-restore.
//!
//! Source: failure class DE-09; staged with dockerd 20.10 and a syslog server that does not read.

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::rules::short;
use crate::rules::stopped_daemon::Halt;
use crate::snapshot::{Container, Process, Role};
use crate::view::View;

/// The rest of the output is handed on, and the network taken down, in less.
const PATIENCE_MS: u64 = 5_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let waits = |client: &&Process| {
        matches!(build::client_verb(client), Some("stop" | "kill"))
            && view.snapshot.age_ms(client) >= PATIENCE_MS
    };
    let clients = view.with_role(Role::Client).filter(waits);
    let mut findings: Vec<Finding> =
        clients.filter_map(|client| finding(view, client, the_ended(view, client)?)).collect();
    findings.dedup_by(|one, other| one.id == other.id);
    findings
}

/// The one container that a client names, if nothing of it is left.
fn the_ended<'a>(view: &View<'a>, client: &Process) -> Option<&'a Container> {
    let mut named =
        view.snapshot.containers.iter().filter(|container| build::names(view, client, &container.id));
    let one = named.next().filter(|_| named.next().is_none())?;
    let is_there = |pid: i32| view.snapshot.process(pid).is_some_and(|process| process.state != 'Z');
    let left = one.init.into_iter().chain(one.shim).any(is_there);
    (!left && one.processes.is_empty() && !is_held_up_by_a_client(view, one)).then_some(one)
}

/// Whether a client was stopped, which has a rule of its own.
fn is_held_up_by_a_client(view: &View<'_>, container: &Container) -> bool {
    let mut clients = view.with_role(Role::Client).filter(|client| Halt::of(client).is_some());
    clients.any(|client| build::names(view, client, &container.id))
}

fn finding(view: &View<'_>, client: &Process, container: &Container) -> Option<Finding> {
    let engine = build::daemon_of(view, client).filter(|engine| Halt::of(engine).is_none())?;
    let (label, from) = (view.label(client), view.label(engine));
    let title = format!(
        "{label} has waited {} for the end of a container of which nothing is left: {from} has not noticed, or cannot hand \
         on the rest of its output",
        view.age(client)
    );
    let waits_for = "whoever takes the container's output: a log server, a disk, a client";
    let chain = vec![
        Link { who: label, waits_for: format!("{from} to answer") },
        Link { who: from.clone(), waits_for: waits_for.to_owned() },
    ];
    let config = format!("containers/{}/hostconfig.json below dockerd's data-root", container.id);
    let finding = Finding::new("unnoticed_end", short(Some(&container.id)), Severity::Critical, title)
        .momentary()
        .class("DE-09")
        .container(Some(&container.id))
        .blocker(Some(engine.pid), &view.name(engine), waits_for)
        .chain(chain)
        .evidence("processes", "neither one of the container nor its shim")
        .evidence(format!("/proc/{}", client.pid), format!("connected to {from}, {} old", view.age(client)));
    let log = format!(
        "look which log driver it has (LogConfig in {config}), and bring back the server it sends to"
    );
    let dump = format!(
        "let it write its goroutines (kill -USR1 {}), and read them with `sluice-doctor goroutines`",
        engine.pid
    );
    Some(
        finding
            .remedy(Remedy::advise("log", log).may_follow("the client is answered at once, late"))
            .remedy(Remedy::advise("dump", dump))
            .remedy(
                Remedy::advise("restart", "start dockerd anew")
                    .costs("ends every container of this dockerd, unless it has live-restore"),
            ),
    )
}
