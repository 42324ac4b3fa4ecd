//! Many zombies under one parent, whatever left them there and when.
//!
//! One look cannot tell a parent that never reaps from one whose children have all ended this moment, so that the finding
//! is momentary.

use std::collections::BTreeMap;

use super::{blocked_by_parent, tightest};
use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::rules::short;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// So many are in no program's way of working.
const MANY: usize = 20;

/// Younger ones may be about to be reaped. Milliseconds.
const YOUNG_MS: u64 = 10_000;

/// How many names of zombies are told.
const NAMES: usize = 4;

/// `told` are findings of the same zombies that know more.
pub(super) fn check(view: &View<'_>, told: &[Finding]) -> Vec<Finding> {
    let mut zombies: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    let is_old = |it: &&Process| it.state == 'Z' && view.snapshot.age_ms(it) >= YOUNG_MS;
    for zombie in view.with_role(Role::InContainer).filter(is_old) {
        zombies.entry(zombie.ppid).or_default().push(zombie);
    }
    let is_told = |pid: i32| told.iter().any(|it| it.blocker.as_ref().and_then(|it| it.pid) == Some(pid));
    let many = zombies.into_iter().filter(|(parent, zombies)| zombies.len() >= MANY && !is_told(*parent));
    many.filter_map(|(parent, zombies)| finding(view, view.snapshot.process(parent)?, &zombies)).collect()
}

fn finding(view: &View<'_>, parent: &Process, zombies: &[&Process]) -> Option<Finding> {
    // Who is stopped, traced, frozen or sleeps in the kernel reaps when it goes on.
    let stands_still = matches!(parent.state, 'T' | 't' | 'D') || build::frozen_by(view, parent).is_some();
    // A pid namespace alone makes no container: browsers have theirs.
    let id = parent.container.as_deref()?;
    if view.role(parent.pid) != Role::InContainer || stands_still {
        return None;
    }
    let oldest = zombies.iter().min_by_key(|it| it.start_time)?;
    let title = format!("{} zombies that {} does not reap", zombies.len(), view.label(parent));
    let subject = format!("{}/{}/zombies", short(Some(id)), parent.pid);
    let mut finding = Finding::new("probes_pile_up", &subject, Severity::Warning, title)
        .container(Some(id))
        .momentary()
        .evidence(
            "processes",
            format!("{}; the oldest was started {} ago", names(zombies), view.age(oldest)),
        );
    if let Some((group, current, max)) = tightest(view, oldest) {
        let text = format!("{current} of {max} are taken");
        finding = finding.evidence(format!("{}/pids.max", group.directory), text);
    }
    let is_init = view.container(id).and_then(|it| it.init) == Some(parent.pid);
    Some(if is_init { blocked_by_parent(finding, view, oldest) } else { blocked_by_program(finding, parent) })
}

/// What the zombies were, the most frequent first.
fn names(zombies: &[&Process]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    zombies.iter().for_each(|it| *counts.entry(&it.comm).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = if counts.len() > NAMES { ", others" } else { "" };
    let told: Vec<String> =
        counts.iter().take(NAMES).map(|(name, count)| format!("{count} of `{name}`")).collect();
    told.join(", ") + more
}

fn blocked_by_program(finding: Finding, parent: &Process) -> Finding {
    finding
        .class("EX-28")
        .blocker(Some(parent.pid), &parent.comm, "nothing; it does not reap its children")
        .remedy(
            Remedy::advise("repair", "let the program wait for its children, or ignore SIGCHLD")
                .costs("none"),
        )
        .remedy(
            Remedy::advise(
                "end",
                "end the program: the container's init inherits the zombies and has to reap them",
            )
            .costs("what it does"),
        )
}
