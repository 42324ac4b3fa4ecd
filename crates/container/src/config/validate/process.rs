//! `process`, of `config.json` and of `exec --process`.

use super::{Result, host, invalid};
use crate::config::{IoPriority, Process, Rlimit, Scheduler, SchedulerPolicy};

/// Source: getrlimit(2).
const RLIMITS: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

pub(super) fn check(process: &Process, place: &str) -> Result {
    program(process, place)?;
    environment(&process.env, &format!("{place}/env"))?;
    for (index, limit) in process.rlimits.iter().enumerate() {
        let earlier = process.rlimits.get(..index).unwrap_or_default();
        rlimit(limit, earlier, &format!("{place}/rlimits/{index}"))?;
    }
    numbers(process, place)?;
    labels(process, place)?;
    if let Some(scheduler) = &process.scheduler {
        check_scheduler(scheduler, &format!("{place}/scheduler"))?;
    }
    match &process.io_priority {
        Some(priority) => io_priority(priority, &format!("{place}/ioPriority/priority")),
        None => Ok(()),
    }
}

fn program(process: &Process, place: &str) -> Result {
    if process.args.first().is_none_or(String::is_empty) {
        return invalid(format!("{place}/args"), "empty, but must name a program");
    }
    if let Some(index) = process.args.iter().position(|argument| argument.contains('\0')) {
        return invalid(format!("{place}/args/{index}"), "holds a NUL byte");
    }
    if !process.cwd.is_absolute() {
        return invalid(format!("{place}/cwd"), format!("{:?} must be an absolute path", process.cwd));
    }
    Ok(())
}

fn environment(entries: &[String], place: &str) -> Result {
    for (index, entry) in entries.iter().enumerate() {
        let named = entry.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        if !named || entry.contains('\0') {
            return invalid(format!("{place}/{index}"), format!("{entry:?} must be of the form NAME=value"));
        }
    }
    Ok(())
}

fn rlimit(limit: &Rlimit, earlier: &[Rlimit], place: &str) -> Result {
    if !RLIMITS.contains(&limit.kind.as_str()) {
        let reason = format!(
            "{:?} is not a resource limit; must be one of getrlimit(2), such as RLIMIT_NOFILE",
            limit.kind
        );
        return invalid(format!("{place}/type"), reason);
    }
    if earlier.iter().any(|other| other.kind == limit.kind) {
        return invalid(format!("{place}/type"), format!("{} is there twice", limit.kind));
    }
    if limit.soft > limit.hard {
        let reason = format!("{} must not be more than the hard limit, {}", limit.soft, limit.hard);
        return invalid(format!("{place}/soft"), reason);
    }
    Ok(())
}

fn numbers(process: &Process, place: &str) -> Result {
    if let Some(value) = process.oom_score_adj.filter(|value| !(-1000..=1000).contains(value)) {
        return invalid(format!("{place}/oomScoreAdj"), format!("{value} must be -1000 to 1000"));
    }
    if let Some(mask) = process.user.umask.filter(|mask| *mask > 0o777) {
        return invalid(format!("{place}/user/umask"), format!("{mask} must be at most 511 (0777)"));
    }
    let ids = [("uid", process.user.uid), ("gid", process.user.gid)];
    match ids.iter().find(|(_, id)| *id == u32::MAX) {
        Some((field, id)) => {
            invalid(format!("{place}/user/{field}"), format!("{id} means \"no id\" to the kernel"))
        }
        None => Ok(()),
    }
}

fn labels(process: &Process, place: &str) -> Result {
    if !process.selinux_label.is_empty() && !host::has_selinux() {
        return invalid(format!("{place}/selinuxLabel"), "set, but SELinux is not enabled on this host");
    }
    if !process.apparmor_profile.is_empty() && !host::has_apparmor() {
        return invalid(format!("{place}/apparmorProfile"), "set, but AppArmor is not enabled on this host");
    }
    Ok(())
}

/// Source: sched(7)
fn check_scheduler(scheduler: &Scheduler, place: &str) -> Result {
    use SchedulerPolicy as Policy;
    let policy = scheduler.policy;
    if policy == Policy::SchedIso {
        return invalid(format!("{place}/policy"), "SCHED_ISO was never implemented by Linux");
    }
    let is_fair = matches!(policy, Policy::SchedOther | Policy::SchedBatch);
    if is_fair && !(-20..=19).contains(&scheduler.nice) {
        return invalid(format!("{place}/nice"), format!("{} must be -20 to 19", scheduler.nice));
    }
    let is_real_time = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    if is_real_time && !(1..=99).contains(&scheduler.priority) {
        return invalid(format!("{place}/priority"), format!("{} must be 1 to 99", scheduler.priority));
    }
    if !is_real_time && scheduler.priority != 0 {
        return invalid(format!("{place}/priority"), "set, but only SCHED_FIFO and SCHED_RR have priorities");
    }
    let times =
        [("runtime", scheduler.runtime), ("deadline", scheduler.deadline), ("period", scheduler.period)];
    match times.iter().find(|(_, value)| *value != 0) {
        Some((field, _)) if policy != Policy::SchedDeadline => {
            invalid(format!("{place}/{field}"), "set, but only SCHED_DEADLINE has it")
        }
        _ => Ok(()),
    }
}

fn io_priority(priority: &IoPriority, place: &str) -> Result {
    if (0..=7).contains(&priority.priority) {
        return Ok(());
    }
    invalid(place, format!("{} must be 0 to 7", priority.priority))
}
