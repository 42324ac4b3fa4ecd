//! Leftovers of a probe that pile up in a container.
//!
//! *What it sees*: five or more processes of one container with the same command, started at even distances, each
//! handed to the container's init.
//!
//! *Why it happens*: a probe that hangs is ended at its deadline, but only the process that was started, not its
//! children. Each period leaves some more, until `pids.max` or the memory limit is reached.
//!
//! *How to confirm*: their start times differ by the probe's period.
//!
//! *What to do*: repair the probe's command (give it a deadline of its own, `exec` the last program); end the leftovers.
//!
//! *What that costs*: nothing that anybody waits for.
//!
//! Source: failure classes EX-27 and EX-28; staged with a HEALTHCHECK of `sleep & sleep`: five after five probes.

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::snapshot::{Process, Role};
use crate::view::{View, words};

/// How many say that it is no accident.
const FEW: usize = 5;

/// Shortest period of a probe, milliseconds.
const SHORTEST_PERIOD_MS: u64 = 500;

type Key<'a> = (&'a str, &'a [String]);

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut alike: BTreeMap<Key<'_>, Vec<&Process>> = BTreeMap::new();
    for process in view.with_role(Role::InContainer) {
        if let (Some(id), Some(args)) = (process.container.as_deref(), process.args.as_deref())
            && is_leftover(view, process, id)
        {
            alike.entry((id, args)).or_default().push(process);
        }
    }
    alike.iter().filter_map(|(key, processes)| finding(view, *key, processes)).collect()
}

/// Handed to init, from a session that is not init's.
fn is_leftover(view: &View<'_>, process: &Process, id: &str) -> bool {
    let init =
        view.container(id).and_then(|container| container.init).and_then(|pid| view.snapshot.process(pid));
    init.is_some_and(|init| process.ppid == init.pid && process.session != init.session)
}

fn finding(view: &View<'_>, (id, args): Key<'_>, processes: &[&Process]) -> Option<Finding> {
    let period = period(view, processes)?;
    let command = args.join(" ");
    let oldest = processes.iter().min_by_key(|process| process.start_time)?;
    let identity = Identity { pid: oldest.pid, start_time: oldest.start_time };
    let title = format!("{} leftovers of `{command}`, one every {}", processes.len(), words(period));
    let mut finding = Finding::new(
        "probes_pile_up",
        &format!("{}/{}", id.get(..12).unwrap_or(id), oldest.comm),
        Severity::Warning,
        title,
    )
    .class("EX-27")
    .container(Some(id))
    .blocker(Some(oldest.pid), &oldest.comm, format!("its own end; the oldest of {}", processes.len()));
    for process in processes.iter().take(8) {
        finding = finding
            .evidence(format!("/proc/{}", process.pid), format!("{} old, handed to init", view.age(process)));
    }
    Some(
        finding
            .remedy(Remedy::advise(
                "repair",
                "give the probe's command a deadline of its own and let it leave no child",
            ))
            .remedy(
                Remedy::act(
                    "kill",
                    format!("end the oldest, {}, with SIGKILL", oldest.pid),
                    Action::Kill { process: identity },
                )
                .costs("nothing that anybody waits for"),
            ),
    )
}

/// The distance between starts, if it is even: nine in ten within a third of the median.
fn period(view: &View<'_>, processes: &[&Process]) -> Option<u64> {
    let mut starts: Vec<u64> = processes.iter().map(|process| view.snapshot.started_ms(process)).collect();
    starts.sort_unstable();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let median = *sorted.get(sorted.len() / 2)?;
    let even = gaps.iter().filter(|gap| gap.abs_diff(median) <= median / 3).count();
    (processes.len() >= FEW && median >= SHORTEST_PERIOD_MS && even * 10 >= gaps.len() * 9).then_some(median)
}
