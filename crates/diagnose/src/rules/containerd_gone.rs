//! Shims without the containerd that they were started for.
//!
//! *What it sees*: shims whose `-address` nobody listens on, while the sockets of these shims themselves are seen: so it
//! is looked for in the right network namespace.
//!
//! *Why it happens*: containerd was killed, has crashed, or hangs before it has opened its socket. Containers run on; every
//! exec, probe and inspect fails or hangs at once: `connect: connection refused`, `container runtime is down`.
//!
//! *How to confirm*: `ctr version` cannot connect.
//!
//! *What to do*: start containerd; a dockerd that starts its own containerd, anew.
//!
//! *What that costs*: nothing: containers outlive containerd, and their shims tell it what happened meanwhile.
//!
//! Source: failure class IN-02.

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::socket::{SocketState, plain};
use crate::snapshot::{Process, Role, UnixSocket};
use crate::view::View;

/// Within this a containerd listens, also on a busy host. Milliseconds.
const START_MS: u64 = 30_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut orphans: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    for shim in view.with_role(Role::Shim).filter(|shim| is_seen_to_listen(view, shim)) {
        let address = shim.option("-address").map(plain);
        let is_shut = |address: &&str| !address.is_empty() && !has_listener(view, shim, address);
        if let Some(address) = address.filter(is_shut) {
            orphans.entry(address).or_default().push(shim);
        }
    }
    orphans.into_iter().map(|(address, shims)| finding(view, address, &shims)).collect()
}

/// Whether the socket of a shim is among those that were seen, and so would be that of its containerd.
fn is_seen_to_listen(view: &View<'_>, shim: &Process) -> bool {
    view.snapshot.sockets.iter().any(|socket| is_open(socket) && socket.owners.contains(&shim.pid))
}

/// Whether somebody listens there whom the shim can mean. The kernel tells the paths of all mount namespaces alike, so one
/// in a container that shares the host's network (Docker in Docker) has an address of the same name.
fn has_listener(view: &View<'_>, shim: &Process, address: &str) -> bool {
    let is_its = |socket: &&UnixSocket| socket.path.as_deref().map(plain) == Some(address);
    let mut its = view.snapshot.sockets.iter().filter(is_its);
    its.any(|socket| is_open(socket) && !is_elsewhere(view, shim, socket))
}

/// Whether all who have a socket open are known to be in another pid namespace than the shim.
fn is_elsewhere(view: &View<'_>, shim: &Process, socket: &UnixSocket) -> bool {
    let of_owner = |pid: &i32| view.snapshot.process(*pid).and_then(|owner| owner.namespaces.pid);
    let differs =
        |pid| matches!((of_owner(pid), shim.namespaces.pid), (Some(its), Some(ours)) if its != ours);
    !socket.owners.is_empty() && socket.owners.iter().all(differs)
}

fn is_open(socket: &UnixSocket) -> bool {
    socket.state == SocketState::Listening
}

/// Whether a containerd may be on its way: a young one that listens nowhere yet.
fn is_starting(view: &View<'_>) -> bool {
    let listens =
        |pid| view.snapshot.sockets.iter().any(|socket| is_open(socket) && socket.owners.contains(&pid));
    let is_young = |process: &Process| view.snapshot.age_ms(process) < START_MS;
    view.with_role(Role::Containerd).any(|it| is_young(it) && !listens(it.pid))
}

fn finding(view: &View<'_>, address: &str, shims: &[&Process]) -> Finding {
    let title = format!("nobody listens on {address}, for which {} shims work", shims.len());
    let one = (shims.len() == 1).then(|| shims[0].option("-id")).flatten();
    let finding = Finding::new("containerd_gone", address, Severity::Critical, title)
        .momentary()
        .class("IN-02")
        .container(one)
        .evidence("unix sockets", format!("none listens on {address}; those of the shims do"))
        .evidence("processes", format!("{} is there and works for it", view.label(shims[0])));
    let left = view.snapshot.left_sockets.iter().find(|path| plain(path) == address && !is_starting(view));
    let finding = finding.left(left.map(String::as_str));
    let what = "start containerd (systemctl start containerd); where dockerd starts it, dockerd";
    finding.blocker(None, "containerd", "to be started").remedy(Remedy::advise("start", what).may_follow(
        "everything that ended meanwhile is told at once; dockerd may have to be started anew, too",
    ))
}
