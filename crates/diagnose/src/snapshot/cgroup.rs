//! Control groups: limits, usage and counters of every level, so that the level that was hit can be named.

use serde::{Deserialize, Serialize};

/// Name of the v2 hierarchy, also on a hybrid host.
pub const UNIFIED: &str = "unified";

/// Where a process is in one hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// [`UNIFIED`], or the controllers of a v1 hierarchy as `/proc/PID/cgroup` lists them (`cpu,cpuacct`).
    pub hierarchy: String,
    /// Path below the root of the hierarchy; `/` is the root.
    pub path: String,
}

impl Membership {
    /// Whether this is the v2 hierarchy.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.hierarchy == UNIFIED
    }

    /// Whether this is the v1 hierarchy of a controller.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        !self.is_unified() && self.hierarchy.split(',').any(|name| name == controller)
    }
}

/// One control group in one hierarchy. A part is `None` when its controller is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// As in [`Membership::hierarchy`].
    pub hierarchy: String,
    /// As in [`Membership::path`].
    pub path: String,
    /// Directory on the host, for evidence: `/sys/fs/cgroup/pids/docker/ID`.
    pub directory: String,
    /// Number of tasks and its limit.
    pub pids: Option<Pids>,
    /// Memory and its limits.
    pub memory: Option<Memory>,
    /// Whether it is frozen.
    pub freezer: Option<Freezer>,
    /// Processor time and its limits.
    pub cpu: Option<Cpu>,
    /// Whether a process is in it or below it (v2 only).
    pub populated: Option<bool>,
}

impl Cgroup {
    /// Whether this group is, or stands above, the one at `path` of `hierarchy`.
    #[must_use]
    pub fn holds(&self, hierarchy: &str, path: &str) -> bool {
        if self.hierarchy != hierarchy {
            return false;
        }
        let rest = path.strip_prefix(self.path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// `pids.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// `pids.current`.
    pub current: Option<u64>,
    /// `pids.max`; `None` is no limit.
    pub max: Option<u64>,
    /// `max` of `pids.events`: forks that were refused.
    /// Kernel: before 6.11 and on v1 it moves at the group that forked, since then at the one whose limit was hit.
    pub refused: Option<u64>,
}

impl Pids {
    /// Whether the next fork would be refused at this level.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!((self.current, self.max), (Some(current), Some(max)) if current >= max)
    }
}

/// `memory.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// `memory.current` or `memory.usage_in_bytes`.
    pub current: Option<u64>,
    /// `memory.max` or `memory.limit_in_bytes` in bytes; `None` is no limit.
    pub max: Option<u64>,
    /// `memory.high` in bytes; `None` is no limit (and v1).
    pub high: Option<u64>,
    /// `memory.memsw.limit_in_bytes` (v1: memory and swap) or `memory.swap.max` (v2: swap alone); `None` is no limit.
    pub swap_max: Option<u64>,
    /// `memory.failcnt`: times the limit was hit (v1).
    pub failcnt: Option<u64>,
    /// `memory.oom_control/oom_kill_disable` (v1).
    pub oom_kill_disable: Option<bool>,
    /// `memory.oom_control/under_oom` (v1): tasks sleep until somebody makes room.
    pub under_oom: Option<bool>,
    /// `memory.oom.group` (v2).
    pub oom_group: Option<bool>,
    /// `memory.events`: this group and all below it (v1: only `oom_kill`, of this group).
    pub events: MemoryEvents,
    /// `memory.events.local`: this group alone (v2).
    pub local_events: MemoryEvents,
}

impl Memory {
    /// Whether usage is within one percent of the limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!((self.current, self.max), (Some(current), Some(max)) if current >= max - max / 100)
    }
}

/// Counters of `memory.events`; `None` where the kernel does not have the line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryEvents {
    /// Throttled at `memory.high`.
    pub high: Option<u64>,
    /// About to pass `memory.max`.
    pub max: Option<u64>,
    /// Allocations that were about to fail.
    pub oom: Option<u64>,
    /// Processes killed.
    pub oom_kill: Option<u64>,
    /// Whole groups killed.
    pub oom_group_kill: Option<u64>,
}

/// `cgroup.freeze`, or the `freezer` controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Freezer {
    /// State of the group, whoever caused it.
    pub state: FreezerState,
    /// Whether this group itself was told to freeze, and not only one above it.
    pub by_itself: bool,
}

/// State of a freezer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezerState {
    /// Everything runs.
    #[default]
    Thawed,
    /// Told to freeze, and some task has not got there.
    Freezing,
    /// Nothing runs.
    Frozen,
}

/// `cpu.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Microseconds of processor time per period; `None` is no limit.
    pub quota_us: Option<u64>,
    /// Length of a period in microseconds.
    pub period_us: Option<u64>,
    /// Periods in which the group ran (`nr_periods`).
    pub periods: Option<u64>,
    /// Periods in which it was stopped at its quota (`nr_throttled`).
    pub throttled: Option<u64>,
    /// Processor time used, microseconds (v2 `usage_usec`, v1 `cpuacct.usage`).
    pub usage_us: Option<u64>,
}
