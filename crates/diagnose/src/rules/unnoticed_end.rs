//! A container that has ended, and whose engine does not tell who waits for that.
//!
//! *What it sees*: a `docker stop` or `docker kill` of one container, thirty seconds older than the time it gives the
//! container to end, whose container has neither a process nor a shim any more, in every look. After two minutes beyond
//! that time it is critical. Nothing tells when the container ended: one with a `--stop-timeout` of its own may just have.
//! Of several containers one may still take its time to end.
//!
//! *Why it happens*: before dockerd calls a container ended it hands on the rest of its output: to a log server (`syslog`,
//! `fluentd`, `gelf`, ...) that does not take it, to a disk that hangs, to a client that does not read; or it has missed
//! the event. `docker ps` says `Up` meanwhile, and the container can be neither started nor removed. Some of that is in
//! order: dockerd itself gives the output two seconds and the log driver ten, and stops of many containers queue.
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

/// The rest of the output is handed on, and the network taken down, in less on a busy node.
///
/// Compat: moby, `daemon/monitor.go` waits 2 s for the streams, then `loggerCloseTimeout`, 10 s, for the log driver.
const PATIENCE_MS: u64 = 30_000;

/// Stops of many containers that queue have ended by then too.
const LONG_MS: u64 = 120_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let severity = |client: &Process| match view.snapshot.age_ms(client).checked_sub(grace_ms(client)?)? {
        LONG_MS.. => Some(Severity::Critical),
        PATIENCE_MS.. => Some(Severity::Warning),
        _ => None,
    };
    let clients = view.with_role(Role::Client).filter_map(|client| Some((client, severity(client)?)));
    let mut findings: Vec<Finding> =
        clients.filter_map(|(client, severity)| finding(view, client, severity)).collect();
    // Of several clients of one container the worst.
    findings.sort_by(|one, other| one.id.cmp(&other.id).then(other.severity.cmp(&one.severity)));
    findings.dedup_by(|one, other| one.id == other.id);
    findings
}

/// The time that a client gives the container; `rm` waits for more than its end.
fn grace_ms(client: &Process) -> Option<u64> {
    build::grace_ms(client).filter(|_| build::client_verb(client) != Some("rm"))
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

/// The dockerd that a client asks; other daemons keep their containers, and take signals, otherwise.
fn dockerd<'a>(view: &View<'a>, client: &Process) -> Option<&'a Process> {
    let daemon = build::daemon_of(view, client)?;
    (view.name(daemon) == "dockerd" && Halt::of(daemon).is_none()).then_some(daemon)
}

fn finding(view: &View<'_>, client: &Process, severity: Severity) -> Option<Finding> {
    let (container, engine) = the_ended(view, client).zip(dockerd(view, client))?;
    let (label, from) = (view.label(client), view.label(engine));
    let title = format!(
        "{label}, begun {} ago, waits for the end of a container of which nothing is left: {from} has not noticed, or \
         cannot hand on the rest of its output",
        view.age(client)
    );
    let waits_for = "whoever takes the container's output: a log server, a disk, a client";
    let chain = vec![
        Link { who: label, waits_for: format!("{from} to answer") },
        Link { who: from.clone(), waits_for: waits_for.to_owned() },
    ];
    let config = format!("containers/{}/hostconfig.json below dockerd's data-root", container.id);
    let finding = Finding::new("unnoticed_end", short(Some(&container.id)), severity, title)
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
