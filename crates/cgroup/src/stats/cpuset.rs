//! Processors and memory nodes.

use serde::Serialize;

use super::Group;
use crate::Kind;

/// More numbers than any machine has; a larger list is not believed.
const MOST: u16 = 8192;

/// Processors and memory nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpusetStats {
    /// Numbers of the processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// v1: no other group may have them.
    pub cpu_exclusive: u64,
    /// Numbers of the memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// v1: kernel allocations keep to the nodes too.
    pub mem_hardwall: u64,
    /// v1: no other group may have them.
    pub mem_exclusive: u64,
    /// v1: pages move along.
    pub memory_migrate: u64,
    /// v1: the page cache is spread over the nodes.
    pub memory_spread_page: u64,
    /// v1: slab caches are spread over the nodes.
    pub memory_spread_slab: u64,
    /// v1: rate of reclaims.
    pub memory_pressure: u64,
    /// v1: load is balanced.
    pub sched_load_balance: u64,
    /// v1: how far load is balanced, -1 is the default.
    pub sched_relax_domain_level: i64,
}

pub(super) fn read(kind: Kind, group: &Group<'_>) -> CpusetStats {
    let list = |name: &str| group.text(name).map(|text| numbers(&text)).unwrap_or_default();
    let number = |name: &str| match kind {
        Kind::V1 => group.number(name),
        Kind::V2 => 0,
    };
    let level = group.text("cpuset.sched_relax_domain_level");
    CpusetStats {
        cpus: list("cpuset.cpus"),
        cpu_exclusive: number("cpuset.cpu_exclusive"),
        mems: list("cpuset.mems"),
        mem_hardwall: number("cpuset.mem_hardwall"),
        mem_exclusive: number("cpuset.mem_exclusive"),
        memory_migrate: number("cpuset.memory_migrate"),
        memory_spread_page: number("cpuset.memory_spread_page"),
        memory_spread_slab: number("cpuset.memory_spread_slab"),
        memory_pressure: number("cpuset.memory_pressure"),
        sched_load_balance: number("cpuset.sched_load_balance"),
        sched_relax_domain_level: level.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
    }
}

/// The list format of cpuset(7): `0-3,7`. Parts of another form are left out.
fn numbers(text: &str) -> Vec<u16> {
    let part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        Some(first..=last.min(MOST))
    };
    text.trim().split(',').filter_map(part).flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers("0-2,7,9-9\n"), [0, 1, 2, 7, 9]);
        assert!(numbers("\n").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9,-]{0,12}|\\PC{0,12}") {
            let _ = numbers(&text);
        }
    }
}
