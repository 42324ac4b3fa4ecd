//! The part of the picture that one finding tells: its chain, and who else waits at the end of it.
//!
//! **Invariant**: the picture says no more than the finding. Where the waits around its container are not those that it
//! tells (a reader that was stopped, a runtime that somebody started by hand), its own chain is drawn, link by link.

use super::{Graph, Node, Role, build};
use crate::finding::{Blocker, Finding};
use crate::snapshot::Process;
use crate::view::View;

/// The waits around the blocker of a finding.
pub(crate) fn of_finding(view: &View<'_>, finding: &Finding, pid: i32) -> Graph {
    let key = build::process_key(pid);
    let process = view.snapshot.process(pid);
    let around = finding.container.as_deref().map(|id| build::around_container(view, id));
    let beside = process.into_iter().flat_map(|it| {
        let parent = view.snapshot.process(it.ppid);
        [Some(build::below(view, it)), parent.map(|parent| build::runtime(view, parent))]
            .into_iter()
            .flatten()
    });
    let tells = |graph: &Graph| !finding.chain.is_empty() && graph.chain_to(&key) == finding.chain;
    let fitting = around.into_iter().chain(beside).find(tells);
    fitting.map_or_else(|| told(view, finding, pid), |graph| graph.around(&[key]))
}

/// The chain of a finding as a graph, down to what the blocker waits for.
fn told(view: &View<'_>, finding: &Finding, pid: i32) -> Graph {
    let mut graph = Graph::default();
    let blocker = match view.snapshot.process(pid) {
        Some(process) => build::process(view, &mut graph, process),
        None => {
            thing(&mut graph, build::process_key(pid), finding.blocker.as_ref().map_or("", |it| &it.name))
        }
    };
    let keys: Vec<String> = finding.chain.iter().map(|link| who(view, &mut graph, &link.who)).collect();
    let next = keys.iter().skip(1).chain([&blocker]);
    for ((from, to), link) in
        keys.iter().zip(next).zip(&finding.chain).filter(|((from, _), _)| **from != blocker)
    {
        graph.edge(from, to, link.waits_for.clone());
    }
    if let Some(Blocker { waits_for, .. }) = &finding.blocker {
        let end = thing(&mut graph, format!("end:{pid}"), waits_for);
        graph.edge(&blocker, &end, "waits for it");
    }
    graph
}

/// A process that a link names, or whatever else it names.
fn who(view: &View<'_>, graph: &mut Graph, label: &str) -> String {
    match named(view, label) {
        Some(process) => build::process(view, graph, process),
        None => thing(graph, format!("who:{label}"), label),
    }
}

/// The process that is called so.
fn named<'a>(view: &View<'a>, label: &str) -> Option<&'a Process> {
    let (_, pid) = label.rsplit_once('(')?;
    let process = view.snapshot.process(pid.strip_suffix(')')?.parse().ok()?)?;
    (view.label(process) == label).then_some(process)
}

fn thing(graph: &mut Graph, key: String, label: &str) -> String {
    let (label, detail) = (label.to_owned(), String::new());
    graph.node(Node { key: key.clone(), role: Role::Kernel, label, detail });
    key
}
