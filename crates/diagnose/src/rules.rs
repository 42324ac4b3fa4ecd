//! The rules: one file per finding, each a pure function from a snapshot to findings.
//!
//! The header of each file is its manual page. **Invariant**: a rule reads nothing and changes nothing; the same
//! snapshot gives the same findings on any machine. What a container can choose (names, arguments) may be shown and may
//! narrow a search, but no action is aimed by it.

mod blocked_restart;
mod broken_disk;
mod containerd_gone;
mod d_state_helper;
mod engine_gone;
mod exec_storm;
mod fips;
mod frozen_exec;
mod full_pipe;
mod held_stdout;
mod host_limits;
mod idle_shim;
mod known_bad;
mod lost_exec_client;
mod lost_shim;
mod memory_limit;
mod oom_killer_off;
mod pids_limit;
mod probes_pile_up;
mod slow_plugin;
mod slow_runtime;
mod stale_runc_init;
mod stopped_client;
mod stopped_daemon;
mod torn_state;
mod unnoticed_end;
mod waiting_clients;

use std::collections::BTreeMap;

use crate::finding::Finding;
use crate::snapshot::{Cgroup, Process};
use crate::view::View;

/// A rule: its name (that of its file), the failure classes it stands for, and its check.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Name of the file without `.rs`.
    pub name: &'static str,
    /// Ids of failure classes that its findings carry.
    pub classes: &'static [&'static str],
    /// The check.
    pub check: fn(&View<'_>) -> Vec<Finding>,
}

const fn rule(
    name: &'static str,
    classes: &'static [&'static str],
    check: fn(&View<'_>) -> Vec<Finding>,
) -> Rule {
    Rule { name, classes, check }
}

/// Every rule.
pub const RULES: &[Rule] = &[
    rule("blocked_restart", &["IN-07"], blocked_restart::check),
    rule("broken_disk", &[], broken_disk::check),
    rule("containerd_gone", &["IN-02"], containerd_gone::check),
    rule("d_state_helper", &["DE-01"], d_state_helper::check),
    rule("engine_gone", &["EX-29", "LO-01"], engine_gone::check),
    rule("exec_storm", &["EX-42"], exec_storm::check),
    rule("fips", &["EX-39"], fips::check),
    rule("frozen_exec", &["EX-10", "EX-11"], frozen_exec::check),
    rule("full_pipe", &["EX-03"], full_pipe::check),
    rule("held_stdout", &["EX-26"], held_stdout::check),
    rule("host_limits", &["EX-04", "EX-18", "EX-24", "NO-03", "ST-11"], host_limits::check),
    rule("idle_shim", &["DE-06", "IN-06"], idle_shim::check),
    rule("known_bad", known_bad::CLASSES, known_bad::check),
    rule("lost_exec_client", &["IN-05"], lost_exec_client::check),
    rule("lost_shim", &["IN-05"], lost_shim::check),
    rule("memory_limit", &["EX-45", "ST-01"], memory_limit::check),
    rule("oom_killer_off", &["EX-50"], oom_killer_off::check),
    rule("pids_limit", &["EX-04"], pids_limit::check),
    rule("probes_pile_up", &["EX-27", "EX-28"], probes_pile_up::check),
    rule("slow_plugin", &[], slow_plugin::check),
    rule("slow_runtime", &[], slow_runtime::check),
    rule("stale_runc_init", &["ST-12"], stale_runc_init::check),
    rule("stopped_client", &["LO-01"], stopped_client::check),
    rule("stopped_daemon", &["IN-02"], stopped_daemon::check),
    rule("torn_state", &["EX-01"], torn_state::check),
    rule("unnoticed_end", &["DE-09"], unnoticed_end::check),
    rule("waiting_clients", &["IN-03"], waiting_clients::check),
];

/// The first twelve characters of an id, as docker shows it.
fn short(container: Option<&str>) -> &str {
    container.map_or("host", |id| id.get(..12).unwrap_or(id))
}

/// What a finding about a group is about: its one container, or the group.
fn subject(containers: &[&str], group: &Cgroup) -> String {
    match containers {
        [one] => short(Some(one)).to_owned(),
        _ => group.path.clone(),
    }
}

/// The containers and processes at or below a group.
fn members<'a>(view: &View<'a>, group: &Cgroup) -> (Vec<&'a str>, Vec<&'a Process>) {
    let within = |process: &&Process| {
        let mut memberships = process.cgroups.iter();
        memberships.any(|member| group.holds(&member.hierarchy, &member.path))
    };
    let processes: Vec<&Process> = view.snapshot.processes.iter().filter(within).collect();
    let mut containers: Vec<&str> = processes
        .iter()
        .filter_map(|process| process.container.as_deref())
        .filter(|id| view.container(id).is_some())
        .collect();
    containers.sort_unstable();
    containers.dedup();
    (containers, processes)
}

/// The most frequent names among processes, with their threads: `java 1 (9990 threads), sh 3`.
fn most(processes: &[&Process]) -> String {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for process in processes {
        let count = counts.entry(&process.comm).or_default();
        *count = (count.0 + 1, count.1 + process.thread_count);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, (_, threads))| std::cmp::Reverse(*threads));
    let told = counts
        .iter()
        .take(5)
        .map(|(name, (count, threads))| format!("{count} {name} with {threads} threads"));
    told.collect::<Vec<_>>().join(", ")
}
