//! `linux.resources.cpu`, time and placement.

use super::{Write, invalid, only_v1};
use crate::{Cpu, Kind, Result};

/// Range of `cpu.shares`. Source: `MIN_SHARES` and `MAX_SHARES` in kernel/sched/sched.h.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// Microseconds; the period of `cpu.max` when none is given. Source: the kernel's admin-guide/cgroup-v2.
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn plan(kind: Kind, cpu: &Cpu, writes: &mut Vec<Write>) -> Result<()> {
    plan_share(kind, cpu, writes)?;
    plan_realtime(kind, cpu, writes)?;
    match kind {
        Kind::V1 => plan_time_v1(cpu, writes),
        Kind::V2 => plan_time_v2(cpu, writes),
    }
    for (file, list, field) in
        [("cpuset.cpus", &cpu.cpus, "cpu/cpus"), ("cpuset.mems", &cpu.mems, "cpu/mems")]
    {
        if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
            writes.push(Write::new("cpuset", file, list, field));
        }
    }
    Ok(())
}

/// Kernel: an idle group has no share of its own and refuses one, so idleness goes first and alone.
fn plan_share(kind: Kind, cpu: &Cpu, writes: &mut Vec<Write>) -> Result<()> {
    if let Some(idle) = cpu.idle {
        writes.push(Write::new("cpu", "cpu.idle", idle, "cpu/idle"));
    }
    let Some(shares) = cpu.shares.filter(|shares| *shares != 0 && cpu.idle.unwrap_or(0) == 0) else {
        return Ok(());
    };
    match kind {
        Kind::V1 if SHARES.contains(&shares) => {
            writes.push(Write::new("cpu", "cpu.shares", shares, "cpu/shares"))
        }
        Kind::V1 => return Err(invalid("cpu/shares", format!("{shares} is not between 2 and 262144"))),
        Kind::V2 => writes.push(Write::new("cpu", "cpu.weight", weight(shares), "cpu/shares")),
    }
    Ok(())
}

/// Turns shares (2 to 262144, usually 1024) into a weight (1 to 10000, usually 100), so that the ends and the
/// usual value meet: a parabola in the logarithms.
///
/// Compat: runc 1.3.2 and newer. Older ones drew a straight line, where 1024 shares became a weight of 39.
#[expect(clippy::cast_precision_loss, reason = "262144 is exact in an f64")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 10000 here")]
fn weight(shares: u64) -> u64 {
    if shares <= *SHARES.start() {
        return 1;
    }
    if shares >= *SHARES.end() {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10_f64.powf(exponent).ceil() as u64
}

fn plan_realtime(kind: Kind, cpu: &Cpu, writes: &mut Vec<Write>) -> Result<()> {
    let period = cpu.realtime_period.filter(|period| *period != 0).map(|period| period.to_string());
    let runtime = cpu.realtime_runtime.filter(|runtime| *runtime != 0).map(|runtime| runtime.to_string());
    let rows = [
        ("cpu.rt_period_us", period, "cpu/realtimePeriod"),
        ("cpu.rt_runtime_us", runtime, "cpu/realtimeRuntime"),
    ];
    for (file, value, field) in rows {
        match (kind, value) {
            (_, None) => {}
            (Kind::V1, Some(value)) => writes.push(Write::new("cpu", file, value, field).linked()),
            (Kind::V2, Some(_)) => return Err(only_v1("cpu", field)),
        }
    }
    Ok(())
}

/// Kernel: the ratio of quota and period must fit the group above, and the quota the burst, at every moment.
fn plan_time_v1(cpu: &Cpu, writes: &mut Vec<Write>) {
    if let Some(period) = cpu.period.filter(|period| *period != 0) {
        writes.push(Write::new("cpu", "cpu.cfs_period_us", period, "cpu/period").linked());
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        writes.push(Write::new("cpu", "cpu.cfs_quota_us", quota.max(-1), "cpu/quota").linked());
    }
    if let Some(burst) = cpu.burst {
        writes.push(Write::new("cpu", "cpu.cfs_burst_us", burst, "cpu/burst").linked());
    }
}

/// A period without quota lifts the limit: `cpu.max` takes both in one write. Compat: runc.
fn plan_time_v2(cpu: &Cpu, writes: &mut Vec<Write>) {
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let shown = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
        let value = format!("{shown} {}", period.unwrap_or(DEFAULT_PERIOD));
        let field = if quota.is_some() { "cpu/quota" } else { "cpu/period" };
        writes.push(Write::new("cpu", "cpu.max", value, field).linked());
    }
    if let Some(burst) = cpu.burst {
        writes.push(Write::new("cpu", "cpu.max.burst", burst, "cpu/burst").linked());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_become_the_weights_of_the_reference() {
        let table = [
            (1, 1),
            (2, 1),
            (3, 2),
            (10, 4),
            (100, 17),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
        ];
        for (shares, expected) in table {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }

    #[test]
    fn shares_out_of_range_are_refused_on_v1() {
        for shares in [1, 262_145] {
            let cpu = Cpu { shares: Some(shares), ..Cpu::default() };
            assert!(plan(Kind::V1, &cpu, &mut Vec::new()).is_err());
            assert!(plan(Kind::V2, &cpu, &mut Vec::new()).is_ok());
        }
    }

    proptest! {
        #[test]
        fn a_weight_is_in_range_and_grows_with_the_shares(shares: u64) {
            prop_assert!((1..=10_000).contains(&weight(shares)));
            prop_assert!(weight(shares) <= weight(shares.saturating_add(1)));
        }
    }
}
