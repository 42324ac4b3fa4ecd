//! A queue of clients behind one container.
//!
//! *What it sees*: many clients that ask the engine about one container and have no answer for seconds, and what that
//! container's shim waits for. On an overloaded node answers take seconds as well: so clients count after ten of them,
//! unless the shim has waited for longer than they.
//!
//! *Why it happens*: whoever started, stopped or executes in the container holds its lock while it waits for the shim;
//! every `docker inspect`, `stats` and `ps` of an old engine queues behind the lock. The queue is a consequence.
//!
//! *How to confirm*: a goroutine dump of the engine: hundreds in `Mutex.Lock`, one that holds it.
//!
//! *What to do*: heal what the shim waits for; the queue then goes by itself. Ending clients gains nothing.
//!
//! *What that costs*: see there.
//!
//! Source: failure classes IN-01 to IN-03; 717,594 goroutines behind one exec in a report from the field.

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};
use crate::graph::{Graph, build};
use crate::remedy::Remedy;
use crate::rules::short;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// So many are a queue.
const FEW: usize = 5;

/// A question is answered in milliseconds.
const PATIENCE_MS: u64 = 2_000;

/// Even an overloaded engine has answered after this. Milliseconds.
const OVERLOADED_MS: u64 = 10_000;

/// Verbs that ask and go; the others may stay for good reasons.
const QUESTIONS: [&str; 4] = ["inspect", "ps", "top", "info"];

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut queues: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    let asks = |client: &&Process| is_question(client) && view.snapshot.age_ms(client) >= PATIENCE_MS;
    for client in view.with_role(Role::Client).filter(asks) {
        let named =
            view.snapshot.containers.iter().filter(|container| build::names(view, client, &container.id));
        for container in named {
            queues.entry(&container.id).or_default().push(client);
        }
    }
    let long = queues.into_iter().filter(|(_, clients)| clients.len() >= FEW);
    long.filter_map(|(id, clients)| finding(view, id, &clients)).collect()
}

/// Whether a client goes when it has its answer; `docker stats` stays and shows the next one.
fn is_question(client: &Process) -> bool {
    match build::client_verb(client) {
        Some("stats") => client.args.iter().flatten().any(|word| word == "--no-stream"),
        verb => verb.is_some_and(|verb| QUESTIONS.contains(&verb)),
    }
}

fn finding(view: &View<'_>, id: &str, clients: &[&Process]) -> Option<Finding> {
    let engine = build::daemon_of(view, clients.first()?)?;
    let graph = build::around_container(view, id);
    let blocker = view.shim_of(id).and_then(|shim| deepest(view, &graph, shim));
    if !is_no_overload(view, clients, blocker) {
        return None;
    }
    let title = format!(
        "{} clients have waited up to {} for answers about one container",
        clients.len(),
        oldest(view, clients)
    );
    let finding = Finding::new("waiting_clients", short(Some(id)), Severity::Critical, title)
        .class("IN-03")
        .container(Some(id))
        .evidence("processes", format!("{} clients connected to {}", clients.len(), view.label(engine)));
    let finding = match blocker {
        Some(process) => blocked_by(view, &graph, process, finding),
        None => finding.blocker(
            Some(engine.pid),
            &view.name(engine),
            "something that shows only in its goroutine dump",
        ),
    };
    Some(finding.remedy(Remedy::advise(
        "cause",
        "heal what the container's shim waits for (its own finding, at the latest after ten seconds); the queue then \
         goes by itself",
    )))
}

/// The process that the queue stands behind, what it waits for, and the way to it.
fn blocked_by(view: &View<'_>, graph: &Graph, process: &Process, finding: Finding) -> Finding {
    let key = build::process_key(process.pid);
    let waits_for =
        graph.waits(&key).next().map_or_else(|| String::from("its own end"), |edge| edge.why.clone());
    finding.blocker(Some(process.pid), &view.name(process), waits_for).chain(graph.chain_to(&key))
}

/// Whether clients wait for something else than a processor: what they wait for was there before them, or they have
/// waited for too long.
fn is_no_overload(view: &View<'_>, clients: &[&Process], blocker: Option<&Process>) -> bool {
    let first = clients.iter().map(|client| client.start_time).min();
    let was_before = blocker.is_some_and(|it| Some(it.start_time) <= first);
    was_before || clients.iter().filter(|it| view.snapshot.age_ms(it) >= OVERLOADED_MS).count() >= FEW
}

fn oldest(view: &View<'_>, clients: &[&Process]) -> String {
    let first = clients.iter().min_by_key(|client| client.start_time);
    first.map(|client| view.age(client)).unwrap_or_default()
}

/// The last process on the way down from the shim.
fn deepest<'a>(view: &View<'a>, graph: &Graph, shim: &'a Process) -> Option<&'a Process> {
    let mut at = build::process_key(shim.pid);
    let mut seen = vec![at.clone()];
    let next = |at: &str, seen: &[String]| {
        graph
            .waits(at)
            .find(|edge| edge.to.starts_with("pid:") && !seen.contains(&edge.to))
            .map(|edge| edge.to.clone())
    };
    while let Some(to) = next(&at, &seen) {
        seen.push(to.clone());
        at = to;
    }
    let pid: i32 = at.strip_prefix("pid:")?.parse().ok()?;
    view.snapshot.process(pid).filter(|process| process.pid != shim.pid)
}
