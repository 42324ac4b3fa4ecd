//! What the groups have used, in the form that `events --stats` prints.
//!
//! Compat: the names, and which zeros are left out, are those of runc's `types/events.go`; go-runc parses them.

mod block_io;
mod cpu;
mod cpuset;
mod hugetlb;
mod memory;

use std::collections::BTreeMap;
use std::path::Path;

use proc::kv::Amount;
use serde::Serialize;

pub use block_io::{BlockIoEntry, BlockIoStats};
pub use cpu::{CpuStats, CpuUsage, Throttling};
pub use cpuset::CpusetStats;
pub use hugetlb::HugetlbStats;
pub use memory::{MemoryStats, MemoryUse};

use crate::{Cgroup, Kind, file};

/// Usage of one container. What cannot be read counts as 0 or is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlockIoStats,
    /// Huge pages by size, such as `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// Always empty: cache allocation is not supported.
    pub intel_rdt: BTreeMap<String, u64>,
    /// Always null: interfaces are not known to control groups.
    pub network_interfaces: Option<Vec<u64>>,
}

/// Tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PidsStats {
    /// Tasks in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// Most tasks; 0 is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Share of time in which work waited for a resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pressure {
    /// At least one task waited.
    pub some: PressureLine,
    /// All tasks waited.
    pub full: PressureLine,
}

/// Averages in percent, the total in microseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PressureLine {
    /// Over 10 s.
    pub avg10: f64,
    /// Over 60 s.
    pub avg60: f64,
    /// Over 300 s.
    pub avg300: f64,
    /// Since the start, in microseconds.
    pub total: u64,
}

impl Cgroup {
    /// Reads the usage. A handful of files; a controller that is missing leaves zeros.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let of = |controller| Group { path: self.stats_directory(controller) };
        let kind = self.kind();
        Stats {
            cpu: match kind {
                Kind::V1 => cpu::read_v1(&of("cpu"), &of("cpuacct")),
                Kind::V2 => cpu::read_v2(&of("cpu")),
            },
            cpuset: cpuset::read(kind, &of("cpuset")),
            memory: match kind {
                Kind::V1 => memory::read_v1(&of("memory")),
                Kind::V2 => memory::read_v2(&of("memory")),
            },
            pids: self.pids_stats(&of("pids")),
            blkio: match kind {
                Kind::V1 => block_io::read_v1(&of("blkio")),
                Kind::V2 => block_io::read_v2(&of("io")),
            },
            hugetlb: hugetlb::read(kind, &of("hugetlb")),
            intel_rdt: BTreeMap::new(),
            network_interfaces: None,
        }
    }

    fn stats_directory(&self, controller: &str) -> Option<&Path> {
        match self.kind() {
            Kind::V1 => self.paths().v1(controller),
            Kind::V2 => self.paths().unified.as_deref(),
        }
    }

    /// Compat: runc counts processes where the controller is missing.
    fn pids_stats(&self, group: &Group<'_>) -> PidsStats {
        match group.text("pids.current") {
            Some(current) => PidsStats { current: number(&current), limit: group.number("pids.max") },
            None => PidsStats { current: self.pids().map_or(0, |pids| pids.len() as u64), limit: 0 },
        }
    }
}

/// A directory that may not be there, read without errors.
struct Group<'a> {
    path: Option<&'a Path>,
}

impl Group<'_> {
    fn text(&self, name: &str) -> Option<String> {
        file::try_read(&self.path?.join(name)).ok()
    }

    /// The number in a file; `max` and a missing file are 0.
    fn number(&self, name: &str) -> u64 {
        self.text(name).map_or(0, |text| number(&text))
    }

    /// The number in a file, the largest one for `max`.
    fn limit(&self, name: &str) -> u64 {
        match self.text(name).and_then(|text| text.parse().ok()) {
            Some(Amount::Number(value)) => value,
            Some(Amount::Max) => u64::MAX,
            None => 0,
        }
    }

    fn pressure(&self, name: &str) -> Option<Pressure> {
        let (some, full) = proc::psi::parse(&self.text(name)?);
        let line = |line: proc::psi::Pressure| PressureLine {
            avg10: line.avg10,
            avg60: line.avg60,
            avg300: line.avg300,
            total: line.total_us,
        };
        Some(Pressure { some: line(some?), full: full.map(line).unwrap_or_default() })
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
