//! One look at one snapshot: every rule, the graph around the blockers, the log lines that belong to it.

mod again;
mod log_lines;
pub mod unseen;

use crate::diagnosis::{Diagnosis, SCHEMA};
use crate::finding::{Finding, Severity, one_line};
use crate::graph::{Graph, build};
use crate::rules::RULES;
use crate::snapshot::Snapshot;
use crate::time;
use crate::view::View;

pub use again::{glance, observe};

/// What is wrong in a snapshot.
#[must_use]
pub fn diagnose(snapshot: &Snapshot) -> Diagnosis {
    let view = View::of(snapshot);
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.check)(&view)).collect();
    let by_hand = snapshot.taken.version == crate::listing::BY_HAND;
    // Lines stand beside findings; a healthy node is not charged for reading them.
    let mut lines =
        if by_hand || !findings.is_empty() { log_lines::read(snapshot) } else { log_lines::Lines::default() };
    lines.join(&mut findings);
    findings.extend(lines.findings);
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    findings.dedup_by(|a, b| a.id == b.id);
    for finding in &mut findings {
        finding.confirmed |= snapshot.taken.found_before.contains(&finding.id);
        finding.container_name = finding.container.as_deref().and_then(|id| name(&view, id));
    }
    let (graph, blockers) = picture(&view, &findings);
    Diagnosis {
        schema: SCHEMA.to_owned(),
        taken_at: time::rfc3339(snapshot.taken.at_ms),
        host: snapshot.host.name.clone(),
        kernel: snapshot.host.kernel.clone(),
        findings,
        graph,
        blockers,
        time_line: lines.moments,
        unseen: unseen::lines(snapshot),
    }
}

/// What people call a container; nothing when that is its id, or the beginning of it.
fn name(view: &View<'_>, id: &str) -> Option<String> {
    let name = view.container(id)?.name.as_deref().filter(|name| !id.starts_with(name))?;
    Some(one_line(name))
}

/// The waits around every blocker that somebody waits for, as one graph.
fn picture(view: &View<'_>, findings: &[Finding]) -> (Graph, Vec<String>) {
    let mut whole = Graph::default();
    let mut blockers: Vec<String> = Vec::new();
    let drawn = |it: &&Finding| !it.chain.is_empty() || it.severity == Severity::Critical;
    for finding in findings.iter().filter(drawn) {
        let Some(pid) = finding.blocker.as_ref().and_then(|blocker| blocker.pid) else { continue };
        let key = build::process_key(pid);
        whole.join(build::of_finding(view, finding, pid), &key);
        if !blockers.contains(&key) {
            blockers.push(key);
        }
    }
    blockers.retain(|key| whole.find(key).is_some());
    (whole, blockers)
}
