//! More execs at once than the processors can start.
//!
//! *What it sees*: many runtimes that have not started their process yet, more than two per processor, on a host whose
//! load is above its processors; and the share of a processor that they have had since they were started, where the
//! kernel's clock ticks tell it. A runtime in the foreground stays as long as its exec runs, and is none of them; nor is
//! one that a wrapper has started, which is counted already.
//!
//! *Why it happens*: exec probes of many containers with the same period. Each exec starts a shim's runtime twice, with
//! seven threads each, and takes the daemons' locks; above some twenty a second the queue only grows.
//!
//! *How to confirm*: `execsnoop`; processor time of `runc`, of the daemons, of systemd.
//!
//! *What to do*: make probes rarer, spread them, or use HTTP and TCP probes; use a runtime that starts no helper.
//!
//! *What that costs*: a failure is noticed later.
//!
//! Source: failure classes EX-41 and EX-42.

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::Remedy;
use crate::snapshot::{Process, Role};
use crate::view::View;

/// Runtimes per processor that say so.
const PER_PROCESSOR: usize = 2;

/// Fewer are no storm on any machine.
const FEW: usize = 8;

/// Older ones are stuck and not in a queue; other rules look at these.
const YOUNG_MS: u64 = 30_000;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let host = &view.snapshot.host;
    let in_flight = |process: &&Process| {
        build::verb(process) == Some("exec")
            && view.snapshot.age_ms(process) < YOUNG_MS
            && view.started_by_shim(process).pid == process.pid
            && !view.family(process).iter().any(|member| view.role(member.pid) == Role::InContainer)
    };
    let execs: Vec<&Process> = view.with_role(Role::Runtime).filter(in_flight).collect();
    let processors = usize::try_from(host.processors.max(1)).unwrap_or(1);
    let busy = host.load[0] > f64::from(host.processors.max(1));
    if execs.len() < FEW.max(PER_PROCESSOR * processors) || !busy {
        return Vec::new();
    }
    let title = format!("{} execs are being started at once on {processors} processors", execs.len());
    let mut finding = Finding::new("exec_storm", "host", Severity::Notice, title)
        .class("EX-42")
        .blocker(None, "processors", format!("{processors} processors, load {:.1}", host.load[0]))
        .evidence("processes", format!("{} runtimes with the verb exec", execs.len()))
        .evidence("/proc/loadavg", format!("{:.1} {:.1} {:.1}", host.load[0], host.load[1], host.load[2]));
    if let Some(text) = processor_time(view, &execs) {
        finding = finding.evidence("processor time", text);
    }
    if let Some(percent) = host.pressure.cpu {
        let text = format!("in {percent:.0} % of the last ten seconds somebody waited for a processor");
        finding = finding.evidence("/proc/pressure/cpu", text);
    }
    vec![
        finding.remedy(
            Remedy::advise("spread", "make exec probes rarer, or let them ask by HTTP or TCP")
                .costs("failures are noticed later"),
        ),
    ]
}

/// What the runtimes and whatever they started have had of a processor, each since it was started.
///
/// A lower bound: the kernel tells whole clock ticks, a process is read at any time until the snapshot is complete, and
/// what was reaped is not in it. Execs too young for a tick tell nothing.
fn processor_time(view: &View<'_>, execs: &[&Process]) -> Option<String> {
    let ppm: u64 = execs.iter().map(|runtime| ppm_of_a_processor(view, runtime)).sum();
    let percent = ppm / 10_000;
    (percent > 0).then(|| format!("at least {percent} % of one processor, since each was started"))
}

fn ppm_of_a_processor(view: &View<'_>, runtime: &Process) -> u64 {
    let taken = &view.snapshot.taken;
    let ticks: u64 = view.family(runtime).iter().map(|process| process.cpu_ticks).sum();
    let used_ms = ticks.saturating_mul(1000) / taken.ticks_per_second.max(1);
    let window_ms = view.snapshot.age_ms(runtime).saturating_add(taken.duration_ms);
    used_ms.saturating_mul(1_000_000) / window_ms.max(1)
}
