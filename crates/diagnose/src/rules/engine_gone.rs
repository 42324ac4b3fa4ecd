//! Containers of dockerd without dockerd.
//!
//! *What it sees*: shims of the namespace `moby` whose containerd has no engine connected, and no dockerd that may be on
//! its way there: one that was started a moment ago, or any if it is containerd that was. A dockerd that was told another
//! containerd (`--containerd`, or its configuration) is on its way elsewhere. Podman's service is no such engine: it
//! never connects to containerd.
//!
//! *Why it happens*: dockerd was killed or has crashed, or hangs before it has connected. Containers run on; their output
//! is read by nobody, so a program that writes stops when its pipe is full; an exec that ran has lost its client, and its
//! exit will be lost.
//!
//! *How to confirm*: `docker ps` cannot connect; `ctr -n moby task ls` answers.
//!
//! *What to do*: start dockerd; one that hangs, anew.
//!
//! *What that costs*: without live-restore dockerd ends what ran when it is started.
//!
//! Source: failure classes EX-29 and LO-01.

mod told;

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::snapshot::socket::{METRICS, plain};
use crate::snapshot::{Process, Role, Task};
use crate::view::View;

/// Within this dockerd has connected, unless something holds it up. Milliseconds.
const PATIENCE_MS: u64 = 120_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut kept: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for shim in view.with_role(Role::Shim).filter(|shim| shim.option("-namespace") == Some("moby")) {
        if let Some(containerd) = build::containerd_of(view, shim) {
            kept.entry(containerd.pid).or_default().push(shim);
        }
    }
    let idle = idle_engines(view);
    let missing = kept.iter().filter_map(|(pid, shims)| Some((view.snapshot.process(*pid)?, shims)));
    missing
        .filter(|(containerd, _)| build::engines_of(view, containerd).is_empty())
        .filter_map(|(containerd, shims)| {
            let engines = idle.iter().copied().filter(|engine| told::is_for(view, engine, containerd));
            let engines: Vec<&Process> = engines.collect();
            let is_missing = !is_one_on_its_way(view, containerd, &engines);
            is_missing.then(|| finding(view, (containerd, shims), engines.first().copied()))
        })
        .collect()
}

/// Every dockerd that is connected to no containerd.
fn idle_engines<'a>(view: &View<'a>) -> Vec<&'a Process> {
    let containerds = view.with_role(Role::Containerd);
    let connected: BTreeSet<i32> =
        containerds.flat_map(|it| build::engines_of(view, it)).map(|engine| engine.pid).collect();
    let engines = view.with_role(Role::Engine).filter(|it| view.name(it).starts_with("docker"));
    engines.filter(|it| it.state != 'Z' && !connected.contains(&it.pid)).collect()
}

/// Whether an engine is being started, or connects anew to a containerd that was.
fn is_one_on_its_way(view: &View<'_>, containerd: &Process, engines: &[&Process]) -> bool {
    let is_young = |process: &Process| view.snapshot.age_ms(process) < PATIENCE_MS;
    engines.iter().any(|engine| is_young(engine) || is_young(containerd))
}

/// `idle` is a dockerd that runs and has had the time to connect.
fn finding(view: &View<'_>, (containerd, shims): (&Process, &[&Process]), idle: Option<&Process>) -> Finding {
    let execs = shims.iter().flat_map(|shim| view.children(shim.pid)).filter(|child| is_exec(view, child));
    let execs: Vec<&Process> = execs.collect();
    let title = format!(
        "no dockerd is connected to {}, which keeps {} containers of it",
        view.label(containerd),
        shims.len()
    );
    let one = (shims.len() == 1).then(|| shims[0].option("-id")).flatten();
    let mut finding = Finding::new("engine_gone", &containerd.pid.to_string(), Severity::Critical, title)
        .momentary()
        .class(if execs.is_empty() { "LO-01" } else { "EX-29" })
        .container(one)
        .evidence(format!("sockets of {}", view.label(containerd)), "no engine at the other ends");
    for exec in execs.iter().take(8) {
        finding = finding.evidence(
            format!("/proc/{}", exec.pid),
            format!("{}: an exec without a client", view.label(exec)),
        );
    }
    match idle {
        Some(engine) => hanging(view, finding, engine),
        None => finding
            .left(left_by_engine(view, shims))
            .blocker(None, "dockerd", "to be started")
            .remedy(costs(Remedy::advise("start", "start dockerd (systemctl start docker)"))),
    }
}

/// A socket below the exec-root of these shims' containers, on which nobody listens.
fn left_by_engine<'a>(view: &View<'a>, shims: &[&Process]) -> Option<&'a str> {
    let ids: BTreeSet<&str> = shims.iter().filter_map(|shim| shim.option("-id")).collect();
    let tasks = view.snapshot.tasks.iter().filter(|task| ids.contains(task.id.as_str()));
    let roots: BTreeSet<&str> = tasks.filter_map(Task::exec_root).map(plain).collect();
    let is_its = |path: &&str| path.strip_suffix(METRICS).is_some_and(|it| roots.contains(plain(it)));
    view.snapshot.left_sockets.iter().map(String::as_str).find(is_its)
}

/// With a dockerd that is there and never connected.
fn hanging(view: &View<'_>, finding: Finding, engine: &Process) -> Finding {
    let what = "restart dockerd (systemctl restart docker); its log says what it waits for";
    finding
        .blocker(Some(engine.pid), "dockerd", "to be started anew: it has not connected")
        .evidence(
            format!("/proc/{}", engine.pid),
            format!("{} runs for {}, without a connection", view.label(engine), view.age(engine)),
        )
        .remedy(costs(Remedy::advise("restart", what)))
}

fn costs(remedy: Remedy) -> Remedy {
    remedy
        .costs("without live-restore it ends the containers that run")
        .may_follow("execs that ran have no client any more; their exit status is lost")
}

/// A child of the shim in a container, beside its init.
fn is_exec(view: &View<'_>, child: &Process) -> bool {
    let init =
        child.container.as_deref().and_then(|id| view.container(id)).and_then(|container| container.init);
    view.role(child.pid) == Role::InContainer && init.is_some_and(|pid| pid != child.pid)
}
