//! Processor time. Unit: nanoseconds.

use proc::kv;
use serde::Serialize;

use super::{Group, Pressure, is_zero, number};

/// Nanoseconds in one `USER_HZ` tick, the unit of `cpuacct.stat`. Kernel: `USER_HZ` is 100 on x86-64 and arm64.
const TICK: u64 = 10_000_000;

/// Processor time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CpuStats {
    /// Time used.
    pub usage: CpuUsage,
    /// Time denied.
    pub throttling: Throttling,
    /// Time waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Time used, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpuUsage {
    /// By all processors together.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By each processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By each processor in the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By each processor in user space.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user space.
    pub user: u64,
}

/// Time denied by the quota.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which the quota was used up.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds for which tasks were held back.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

pub(super) fn read_v1(cpu: &Group<'_>, cpuacct: &Group<'_>) -> CpuStats {
    let stat = cpuacct.text("cpuacct.stat").unwrap_or_default();
    let ticks = |key| kv::lookup(&stat, key).unwrap_or(0).saturating_mul(TICK);
    let percpu = cpuacct.text("cpuacct.usage_percpu").unwrap_or_default();
    let (percpu_user, percpu_kernel) = split(&cpuacct.text("cpuacct.usage_all").unwrap_or_default());
    let usage = CpuUsage {
        total: cpuacct.number("cpuacct.usage"),
        percpu: percpu.split_ascii_whitespace().map(number).collect(),
        percpu_kernel,
        percpu_user,
        kernel: ticks("system"),
        user: ticks("user"),
    };
    let throttling = throttling(&cpu.text("cpu.stat").unwrap_or_default(), "throttled_time", 1);
    CpuStats { usage, throttling, psi: None }
}

pub(super) fn read_v2(group: &Group<'_>) -> CpuStats {
    let stat = group.text("cpu.stat").unwrap_or_default();
    let nanoseconds = |key| kv::lookup(&stat, key).unwrap_or(0).saturating_mul(1000);
    let usage = CpuUsage {
        total: nanoseconds("usage_usec"),
        kernel: nanoseconds("system_usec"),
        user: nanoseconds("user_usec"),
        ..CpuUsage::default()
    };
    CpuStats {
        usage,
        throttling: throttling(&stat, "throttled_usec", 1000),
        psi: group.pressure("cpu.pressure"),
    }
}

fn throttling(stat: &str, time: &str, unit: u64) -> Throttling {
    let value = |key| kv::lookup(stat, key).unwrap_or(0);
    Throttling {
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value(time).saturating_mul(unit),
    }
}

/// `cpuacct.usage_all`: a heading, then processor, user and system time.
fn split(text: &str) -> (Vec<u64>, Vec<u64>) {
    let row = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1).map(number);
        Some((words.next()?, words.next()?))
    };
    text.lines().skip(1).filter_map(row).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_of_each_processor() {
        assert_eq!(split("cpu user system\n0 10 20\n1 30 40\nbad\n"), (vec![10, 30], vec![20, 40]));
    }

    #[test]
    fn microseconds_of_v2_become_nanoseconds() {
        let found = throttling("nr_periods 3\nnr_throttled 2\nthrottled_usec 5\n", "throttled_usec", 1000);
        assert_eq!(found, Throttling { periods: 3, throttled_periods: 2, throttled_time: 5000 });
    }
}
