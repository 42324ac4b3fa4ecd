//! A network plugin that has been at work for long, while whoever called it waits.
//!
//! *What it sees*: a program of a folder of network plugins (`/opt/cni/bin`, `/usr/lib/cni`, netavark) that containerd,
//! cri-o, podman or another client started more than twenty seconds ago, and of whose processes none runs.
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

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::slow_runtime;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// A plugin takes a second; one that asks for an address some more.
const PATIENCE_MS: u64 = 20_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let plugins = view.snapshot.processes.iter().filter(|process| is_slow(view, process));
    plugins.filter_map(|plugin| finding(view, plugin)).collect()
}

fn is_slow(view: &View<'_>, process: &Process) -> bool {
    let called =
        matches!(view.role(process.ppid), Role::Containerd | Role::Crio | Role::Client | Role::Engine);
    called && is_plugin(process) && view.snapshot.age_ms(process) >= PATIENCE_MS
}

/// Whether it comes from a folder of plugins; a script is named by its second word.
fn is_plugin(process: &Process) -> bool {
    let words = process.args.iter().flatten().take(2).map(String::as_str);
    let mut paths = process.exe.as_deref().into_iter().chain(words);
    paths.any(|path| path.contains("/cni/") || path.ends_with("/netavark"))
}

fn finding(view: &View<'_>, plugin: &Process) -> Option<Finding> {
    let family = view.family(plugin);
    if family.iter().any(|process| slow_runtime::has_another_reason(view, process)) {
        return None;
    }
    let caller = view.snapshot.process(plugin.ppid)?;
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
        Finding::new("slow_plugin", &plugin.pid.to_string(), Severity::Critical, title)
            .momentary()
            .blocker(Some(last.pid), &view.name(last), waits_for)
            .chain([vec![first], below, vec![end]].concat())
            .evidence(format!("/proc/{}", plugin.pid), format!("{label}, {} old", view.age(plugin)))
            .remedy(Remedy::advise(
                "server",
                "bring back whom the plugin asks: its agent on the node, the API server",
            ))
            .remedy(kill),
    )
}
