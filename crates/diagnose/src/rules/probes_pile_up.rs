//! Leftovers of a probe that pile up in a container.
//!
//! *What it sees*: five or more processes of one container with the same command, started at even distances, each
//! handed to the container's init; running still, and the last one came when its turn was (EX-27), or ended and not
//! reaped by that init (EX-28). Besides, twenty or more zombies under one parent in a container, be it init or not, that
//! were started ten seconds ago or earlier, at whatever distances (EX-28). Workers that a container started one by one as it began get no more, and are no pile. How
//! much memory they have, and when the container's limit of processes is reached if they go on like this.
//!
//! *Why it happens*: a probe that hangs is ended at its deadline, but only the process that was started, not its
//! children. Each period leaves some more, until `pids.max` or the memory limit is reached.
//!
//! *How to confirm*: their start times differ by the probe's period.
//!
//! *What to do*: repair the probe's command (give it a deadline of its own, `exec` the last program); end the leftovers.
//! Zombies go when their parent reaps them: let the container have an init that does (`docker run --init`).
//!
//! *What that costs*: what is ended, so look that it is a probe's; another init is a restart of the container.
//!
//! Source: failure classes EX-27 and EX-28; staged with a HEALTHCHECK of `sleep & sleep`: five after five probes.

mod unreaped;

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{Cgroup, Process, Role};
use crate::view::{View, words};

/// How many say that it is no accident.
const FEW: usize = 5;

/// Shortest period of a probe, milliseconds.
const SHORTEST_PERIOD_MS: u64 = 500;

/// Periods within which a probe that goes on leaves another one.
const PERIODS: u64 = 3;

/// Longest command in a title, in characters.
const COMMAND: usize = 80;

/// What leftovers of one probe have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    container: &'a str,
    is_zombie: bool,
    /// The arguments, or the name of a zombie, which has none.
    command: String,
}

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut alike: BTreeMap<Kind<'_>, Vec<&Process>> = BTreeMap::new();
    for process in view.with_role(Role::InContainer) {
        if let Some(kind) = kind(process).filter(|kind| is_leftover(view, process, kind.container)) {
            alike.entry(kind).or_default().push(process);
        }
    }
    let found = alike.iter().filter_map(|(kind, processes)| finding(view, kind, processes));
    let mut findings: Vec<Finding> = found.collect();
    findings.extend(unreaped::check(view, &findings));
    findings
}

fn kind(process: &Process) -> Option<Kind<'_>> {
    let container = process.container.as_deref()?;
    let is_zombie = process.state == 'Z';
    let command = if is_zombie { process.comm.clone() } else { process.args.as_ref()?.join(" ") };
    Some(Kind { container, is_zombie, command })
}

/// Handed to init, from a session that is not init's.
fn is_leftover(view: &View<'_>, process: &Process, id: &str) -> bool {
    let init =
        view.container(id).and_then(|container| container.init).and_then(|pid| view.snapshot.process(pid));
    init.is_some_and(|init| process.ppid == init.pid && process.session != init.session)
}

fn finding(view: &View<'_>, kind: &Kind<'_>, processes: &[&Process]) -> Option<Finding> {
    let period_ms = period(view, processes).filter(|ms| kind.is_zombie || goes_on(view, processes, *ms))?;
    let period = words(period_ms);
    let oldest = processes.iter().min_by_key(|process| process.start_time)?;
    let what = if kind.is_zombie { "zombies" } else { "leftovers" };
    let command: String = kind.command.chars().take(COMMAND).collect();
    let title = format!("{} {what} of `{command}`, one every {period}", processes.len());
    let subject = format!("{}/{}/{what}", short(Some(kind.container)), oldest.comm);
    let mut finding =
        Finding::new("probes_pile_up", &subject, Severity::Warning, title).container(Some(kind.container));
    for process in processes.iter().take(8) {
        let text = format!("{} old, state {}, handed to init", view.age(process), process.state);
        finding = finding.evidence(format!("/proc/{}", process.pid), text);
    }
    let resident: u64 = processes.iter().map(|process| process.resident_bytes).sum();
    if !kind.is_zombie {
        finding = finding.evidence("memory", format!("{} KiB resident together", resident >> 10));
    }
    if let Some((file, text)) = when_full(view, oldest, period_ms) {
        finding = finding.evidence(file, text);
    }
    let number = processes.len();
    Some(if kind.is_zombie {
        blocked_by_parent(finding, view, oldest)
    } else {
        running(finding, oldest, number)
    })
}

/// The tightest limit of processes above the leftovers, and when it is reached if each period leaves one more.
fn when_full(view: &View<'_>, process: &Process, period_ms: u64) -> Option<(String, String)> {
    let (group, current, max) = tightest(view, process)?;
    let left_ms = max.saturating_sub(current).saturating_mul(period_ms);
    let text =
        format!("{current} of {max} are taken; full in {} if each period leaves one more", words(left_ms));
    Some((format!("{}/pids.max", group.directory), text))
}

/// The group above a process with the least room for more: how many there are, and how many there may be.
fn tightest<'a>(view: &View<'a>, process: &Process) -> Option<(&'a Cgroup, u64, u64)> {
    let limits = view.snapshot.chain(process, "pids").into_iter().filter_map(|group| {
        let pids = group.pids.as_ref()?;
        Some((group, pids.current?, pids.max?))
    });
    limits.min_by_key(|(_, current, max)| max.saturating_sub(*current))
}

fn running(finding: Finding, oldest: &Process, number: usize) -> Finding {
    let process = Identity { pid: oldest.pid, start_time: oldest.start_time };
    let kill = format!("end the oldest, {}, with SIGKILL", oldest.pid);
    finding
        .class("EX-27")
        .blocker(Some(oldest.pid), &oldest.comm, format!("its own end; the oldest of {number}"))
        .remedy(Remedy::advise(
            "repair",
            "give the probe's command a deadline of its own and let it leave no child",
        ))
        .remedy(
            Remedy::act("kill", kill, Action::Kill { process }).costs("what it does, if it is no probe's"),
        )
}

/// By the init that the zombies were handed to.
fn blocked_by_parent(finding: Finding, view: &View<'_>, oldest: &Process) -> Finding {
    let init = view.snapshot.process(oldest.ppid).map_or("init", |init| &init.comm);
    finding
        .class("EX-28")
        .blocker(Some(oldest.ppid), init, "nothing; it does not reap the children it inherits")
        .remedy(
            Remedy::advise("init", "let the container have an init that reaps: docker run --init, or a pod's shareProcessNamespace")
                .costs("a restart of the container"),
        )
        .remedy(Remedy::advise("repair", "let the probe's command wait for its children").costs("none"))
}

/// Whether the youngest is not older than a probe that goes on would let it become.
fn goes_on(view: &View<'_>, processes: &[&Process], period_ms: u64) -> bool {
    let youngest_ms = processes.iter().map(|process| view.snapshot.age_ms(process)).min();
    youngest_ms.is_some_and(|age_ms| age_ms <= period_ms.saturating_mul(PERIODS))
}

/// The distance between probes, if it is even: nine in ten within a third of the median or a few times it, most of them the
/// first, since not every probe leaves something. What one probe left is of one session.
fn period(view: &View<'_>, processes: &[&Process]) -> Option<u64> {
    let mut firsts: BTreeMap<i32, u64> = BTreeMap::new();
    for process in processes {
        let started = view.snapshot.started_ms(process);
        firsts.entry(process.session).and_modify(|first| *first = started.min(*first)).or_insert(started);
    }
    let mut starts: Vec<u64> = firsts.into_values().collect();
    starts.sort_unstable();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let median = *sorted.get(sorted.len() / 2)?;
    let near = |gap: &&u64, times: u64| gap.abs_diff(median * times) <= median / 3;
    let once = gaps.iter().filter(|gap| near(gap, 1)).count();
    let even = gaps.iter().filter(|gap| (1..=PERIODS).any(|times| near(gap, times))).count();
    let is_even = even * 10 >= gaps.len() * 9 && once * 5 >= gaps.len() * 3;
    (starts.len() >= FEW && median >= SHORTEST_PERIOD_MS && is_even).then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Snapshot, Taken};

    /// Processes that were started so many milliseconds after boot, each of a session.
    fn found(started: &[(u64, i32)]) -> Option<u64> {
        let taken = Taken { ticks_per_second: 1000, ..Taken::default() };
        let snapshot = Snapshot { taken, ..Snapshot::default() };
        let process = |(start_time, session): &(u64, i32)| Process {
            start_time: *start_time,
            session: *session,
            ..Process::default()
        };
        let processes: Vec<Process> = started.iter().map(process).collect();
        period(&View::of(&snapshot), &processes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_probe_that_leaves_something_most_of_the_time_has_a_period() {
        let starts = [0, 2000, 4100, 6000, 10_000, 12_000, 14_000, 16_100, 22_000, 24_000];
        let each_its_own: Vec<_> = starts.iter().copied().zip(1..).collect();
        assert!(found(&each_its_own).is_some_and(|period| (1900..=2100).contains(&period)));
    }

    #[test]
    fn two_leftovers_of_one_probe_are_one_distance() {
        let first = [0, 3000, 6000, 9000, 12_000, 15_000].into_iter().zip(1..);
        let pairs: Vec<(u64, i32)> =
            first.flat_map(|(start, session)| [(start, session), (start + 5, session)]).collect();
        assert_eq!(found(&pairs), Some(3000));
    }

    #[test]
    fn starts_at_any_time_have_none() {
        let starts = [0, 700, 4100, 5000, 11_000, 11_900, 20_000, 31_000];
        assert_eq!(found(&starts.iter().copied().zip(1..).collect::<Vec<_>>()), None);
        let of_one: Vec<_> = (0..8).map(|number| (number * 2000, 1)).collect();
        assert_eq!(found(&of_one), None, "one program that starts workers");
    }
}
