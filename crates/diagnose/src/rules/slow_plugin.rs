//! A network plugin that has been at work for long, while whoever called it waits.
//!
//! *What it sees*: a program of a folder of network plugins (`/opt/cni/bin`, `/usr/lib/cni`, netavark) that containerd,
//! cri-o, podman, cri-dockerd or an old kubelet started more than thirty seconds ago, and of whose processes none runs.
//! Some plugins wait for minutes in order, so it is critical from two and a half on. One finding for all calls of one plugin.
//!
//! *Why it happens*: the plugin asks a server that does not answer: the API server, an agent on the node that is down, a
//! DHCP server; or it waits for a lock that another one holds. The pod stays in `ContainerCreating` or `Terminating`;
//! podman keeps its container's lock meanwhile, behind which every `podman ps` waits.
//!
//! *How to confirm*: `/proc/PID/syscall` of the last process stays the same; the plugin's own log.
//!
//! *What to do*: bring back whom it asks (calico-node, cilium-agent, ...); else end the plugin, and the call fails.
//!
//! *What that costs*: that one pod starts later, or its address is given back later.
//!
//! Source: no failure class; staged with podman 4.3 and a plugin that sleeps.

use std::collections::BTreeMap;

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::slow_runtime;
use crate::snapshot::{Process, Role, role};
use crate::view::View;

/// A plugin takes a second; one that asks for an address some more.
const PATIENCE_MS: u64 = 30_000;

/// An agent of a node that has just booted may take minutes until it answers its plugin.
const LONG_MS: u64 = 150_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut calls: BTreeMap<(i32, String), Vec<&Process>> = BTreeMap::new();
    for plugin in view.snapshot.processes.iter().filter(|process| is_slow(view, process)) {
        calls.entry((plugin.ppid, view.name(plugin))).or_default().push(plugin);
    }
    calls.into_values().filter_map(|plugins| finding(view, &plugins)).collect()
}

fn is_slow(view: &View<'_>, process: &Process) -> bool {
    view.role(process.pid) == Role::Other
        && is_plugin(process)
        && view.snapshot.process(process.ppid).is_some_and(|caller| calls_plugins(view, caller))
        && view.snapshot.age_ms(process) >= PATIENCE_MS
        && !view.family(process).iter().any(|member| slow_runtime::has_another_reason(view, member))
}

fn calls_plugins(view: &View<'_>, caller: &Process) -> bool {
    match view.role(caller.pid) {
        Role::Containerd | Role::Crio | Role::Kubelet => true,
        Role::Client | Role::Engine => view.name(caller) == "podman",
        Role::Other => view.name(caller) == "cri-dockerd",
        _ => false,
    }
}

/// Whether its executable, or the script that an interpreter runs, is from a folder of plugins.
fn is_plugin(process: &Process) -> bool {
    let mut paths = process.exe.as_deref().into_iter().chain(role::script(process));
    paths.any(|path| path.contains("/cni/") || path.ends_with("/netavark"))
}

/// One finding for all calls of one plugin by one caller, about the oldest.
fn finding(view: &View<'_>, plugins: &[&Process]) -> Option<Finding> {
    let plugin = plugins.iter().min_by_key(|plugin| plugin.start_time)?;
    let family = view.family(plugin);
    let caller = view.snapshot.process(plugin.ppid)?;
    let severity =
        if view.snapshot.age_ms(plugin) >= LONG_MS { Severity::Critical } else { Severity::Warning };
    let last = family.iter().rev().find(|process| view.snapshot.age_ms(process) >= PATIENCE_MS / 2)?;
    let (label, waits_for) = (view.label(plugin), slow_runtime::waits_for(last));
    let title =
        format!("{} has waited {} for the network plugin {label}", view.label(caller), view.age(plugin));
    let first = Link { who: view.label(caller), waits_for: format!("{label} to end") };
    let end = Link { who: view.label(last), waits_for: waits_for.clone() };
    let below = build::runtime(view, plugin).chain_to(&build::process_key(last.pid));
    let process = Identity { pid: plugin.pid, start_time: plugin.start_time };
    let kill = Remedy::act("kill", format!("end the plugin {label} with SIGKILL"), Action::Kill { process })
        .costs("the start or the end of that pod fails; a kubelet tries it again")
        .may_follow("an address or a device may stay behind until then");
    Some(
        Finding::new("slow_plugin", &format!("{}/{}", caller.pid, view.name(plugin)), severity, title)
            .momentary()
            .blocker(Some(last.pid), &view.name(last), waits_for)
            .chain([vec![first], below, vec![end]].concat())
            .evidence(format!("/proc/{}", plugin.pid), format!("{label}, {} old", view.age(plugin)))
            .evidence(view.label(caller), format!("{} such calls", plugins.len()))
            .remedy(Remedy::advise(
                "server",
                "bring back whom the plugin asks: its agent on the node, the API server",
            ))
            .remedy(kill),
    )
}
