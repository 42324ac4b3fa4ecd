//! Containers of dockerd without dockerd.
//!
//! *What it sees*: shims of the namespace `moby` whose containerd has no engine connected, while no engine of the host is
//! without a containerd: such a one is being started or ended, or connects anew.
//!
//! *Why it happens*: dockerd was killed or has crashed. Containers run on; their output is read by nobody, so a program
//! that writes stops when its pipe is full; an exec that ran has lost its client, and its exit will be lost.
//!
//! *How to confirm*: `docker ps` cannot connect; `ctr -n moby task ls` answers.
//!
//! *What to do*: start dockerd.
//!
//! *What that costs*: without live-restore dockerd ends what ran when it is started.
//!
//! Source: failure classes EX-29 and LO-01.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::snapshot::{Process, Role};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut kept: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for shim in view.with_role(Role::Shim).filter(|shim| shim.option("-namespace") == Some("moby")) {
        if let Some(containerd) = build::containerd_of(view, shim) {
            kept.entry(containerd.pid).or_default().push(shim);
        }
    }
    if kept.is_empty() || is_one_on_its_way(view) {
        return Vec::new();
    }
    kept.iter().filter_map(|(pid, shims)| finding(view, view.snapshot.process(*pid)?, shims)).collect()
}

/// Whether an engine is connected to no containerd.
fn is_one_on_its_way(view: &View<'_>) -> bool {
    let containerds = view.with_role(Role::Containerd);
    let connected: BTreeSet<i32> =
        containerds.flat_map(|it| build::engines_of(view, it)).map(|engine| engine.pid).collect();
    view.with_role(Role::Engine).any(|engine| engine.state != 'Z' && !connected.contains(&engine.pid))
}

fn finding(view: &View<'_>, containerd: &Process, shims: &[&Process]) -> Option<Finding> {
    if !build::engines_of(view, containerd).is_empty() {
        return None;
    }
    let execs = shims.iter().flat_map(|shim| view.children(shim.pid)).filter(|child| is_exec(view, child));
    let execs: Vec<&Process> = execs.collect();
    let title = format!(
        "no dockerd is connected to {}, which keeps {} containers of it",
        view.label(containerd),
        shims.len()
    );
    let one = (shims.len() == 1).then(|| shims[0].option("-id")).flatten();
    let mut finding = Finding::new("engine_gone", &containerd.pid.to_string(), Severity::Critical, title)
        .class(if execs.is_empty() { "LO-01" } else { "EX-29" })
        .container(one)
        .blocker(None, "dockerd", "to be started")
        .evidence(format!("sockets of {}", view.label(containerd)), "no engine at the other ends");
    for exec in execs.iter().take(8) {
        finding = finding.evidence(
            format!("/proc/{}", exec.pid),
            format!("{}: an exec without a client", view.label(exec)),
        );
    }
    Some(
        finding.remedy(
            Remedy::advise("start", "start dockerd (systemctl start docker)")
                .costs("without live-restore it ends the containers that run")
                .may_follow("execs that ran have no client any more; their exit status is lost"),
        ),
    )
}

/// A child of the shim in a container, beside its init.
fn is_exec(view: &View<'_>, child: &Process) -> bool {
    let init =
        child.container.as_deref().and_then(|id| view.container(id)).and_then(|container| container.init);
    view.role(child.pid) == Role::InContainer && init.is_some_and(|pid| pid != child.pid)
}
