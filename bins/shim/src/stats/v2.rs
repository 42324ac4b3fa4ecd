//! The message for cgroup v2.
//!
//! Source: the kernel's admin-guide/cgroup-v2, for the names of files and keys.

use super::Group;
use containerd_shim_protos::cgroups_v2::metrics::{
    CPUStat, HugeTlbStat, IOEntry, IOStat, MemoryEvents, MemoryStat, Metrics, PSIData, PSIStats, PidsStat,
    RdmaEntry, RdmaStat,
};
use proc::kv;
use protobuf::MessageField;

pub(super) fn metrics(group: &Group<'_>) -> Metrics {
    Metrics {
        pids: MessageField::some(PidsStat {
            current: group.number("pids.current"),
            limit: group.limit("pids.max"),
            ..PidsStat::default()
        }),
        cpu: MessageField::some(cpu(group)),
        memory: MessageField::some(memory(group)),
        rdma: MessageField::some(RdmaStat {
            current: rdma(&group.text("rdma.current")),
            limit: rdma(&group.text("rdma.max")),
            ..RdmaStat::default()
        }),
        io: MessageField::some(IOStat {
            usage: io(&group.text("io.stat")),
            psi: pressure(group, "io.pressure"),
            ..IOStat::default()
        }),
        hugetlb: group.page_sizes("current").into_iter().map(|size| huge_pages(group, size)).collect(),
        memory_events: MessageField::some(memory_events(&group.text("memory.events"))),
        ..Metrics::default()
    }
}

fn cpu(group: &Group<'_>) -> CPUStat {
    let text = group.text("cpu.stat");
    let value = |key| kv::lookup(&text, key).unwrap_or(0);
    CPUStat {
        usage_usec: value("usage_usec"),
        user_usec: value("user_usec"),
        system_usec: value("system_usec"),
        nr_periods: value("nr_periods"),
        nr_throttled: value("nr_throttled"),
        throttled_usec: value("throttled_usec"),
        psi: pressure(group, "cpu.pressure"),
        nr_bursts: value("nr_bursts"),
        burst_usec: value("burst_usec"),
        ..CPUStat::default()
    }
}

fn memory(group: &Group<'_>) -> MemoryStat {
    MemoryStat {
        usage: group.number("memory.current"),
        usage_limit: group.limit("memory.max"),
        max_usage: group.number("memory.peak"),
        swap_usage: group.number("memory.swap.current"),
        swap_limit: group.limit("memory.swap.max"),
        swap_max_usage: group.number("memory.swap.peak"),
        psi: pressure(group, "memory.pressure"),
        ..memory_stat(&group.text("memory.stat"))
    }
}

/// `memory.stat`.
///
/// Kernel: since 5.9 refaults and activations of the working set are counted for anonymous and file pages apart; the
/// message has one field for both.
fn memory_stat(text: &str) -> MemoryStat {
    let value = |key| kv::lookup(text, key).unwrap_or(0);
    let sum = |one, anon, file| kv::lookup(text, one).unwrap_or_else(|| value(anon) + value(file));
    MemoryStat {
        anon: value("anon"),
        file: value("file"),
        kernel_stack: value("kernel_stack"),
        slab: value("slab"),
        sock: value("sock"),
        shmem: value("shmem"),
        file_mapped: value("file_mapped"),
        file_dirty: value("file_dirty"),
        file_writeback: value("file_writeback"),
        anon_thp: value("anon_thp"),
        inactive_anon: value("inactive_anon"),
        active_anon: value("active_anon"),
        inactive_file: value("inactive_file"),
        active_file: value("active_file"),
        unevictable: value("unevictable"),
        slab_reclaimable: value("slab_reclaimable"),
        slab_unreclaimable: value("slab_unreclaimable"),
        pgfault: value("pgfault"),
        pgmajfault: value("pgmajfault"),
        workingset_refault: sum("workingset_refault", "workingset_refault_anon", "workingset_refault_file"),
        workingset_activate: sum(
            "workingset_activate",
            "workingset_activate_anon",
            "workingset_activate_file",
        ),
        workingset_nodereclaim: value("workingset_nodereclaim"),
        pgrefill: value("pgrefill"),
        pgscan: value("pgscan"),
        pgsteal: value("pgsteal"),
        pgactivate: value("pgactivate"),
        pgdeactivate: value("pgdeactivate"),
        pglazyfree: value("pglazyfree"),
        pglazyfreed: value("pglazyfreed"),
        thp_fault_alloc: value("thp_fault_alloc"),
        thp_collapse_alloc: value("thp_collapse_alloc"),
        ..MemoryStat::default()
    }
}

fn memory_events(text: &str) -> MemoryEvents {
    let value = |key| kv::lookup(text, key).unwrap_or(0);
    MemoryEvents {
        low: value("low"),
        high: value("high"),
        max: value("max"),
        oom: value("oom"),
        oom_kill: value("oom_kill"),
        oom_group_kill: value("oom_group_kill"),
        ..MemoryEvents::default()
    }
}

/// `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 wios=4` a line.
fn io(text: &str) -> Vec<IOEntry> {
    let entry = |(device, pairs): kv::Nested<'_>| {
        let (major, minor) = device.split_once(':')?;
        let value = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value.number()).unwrap_or(0)
        };
        Some(IOEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            rbytes: value("rbytes"),
            wbytes: value("wbytes"),
            rios: value("rios"),
            wios: value("wios"),
            ..IOEntry::default()
        })
    };
    kv::nested_keyed(text).into_iter().filter_map(entry).collect()
}

fn rdma(text: &str) -> Vec<RdmaEntry> {
    let entry = |(device, hca_handles, hca_objects)| RdmaEntry {
        device,
        hca_handles,
        hca_objects,
        ..RdmaEntry::default()
    };
    super::rdma(text).into_iter().map(entry).collect()
}

fn huge_pages(group: &Group<'_>, pagesize: String) -> HugeTlbStat {
    let file = |end: &str| format!("hugetlb.{pagesize}.{end}");
    HugeTlbStat {
        current: group.number(&file("current")),
        max: group.limit(&file("max")),
        failcnt: kv::lookup(&group.text(&file("events")), "max").unwrap_or(0),
        pagesize,
        ..HugeTlbStat::default()
    }
}

/// Absent where the kernel does not count it (`psi=0`).
fn pressure(group: &Group<'_>, file: &str) -> MessageField<PSIStats> {
    let (some, full) = proc::psi::parse(&group.text(file));
    if some.is_none() && full.is_none() {
        return MessageField::none();
    }
    let line = |line: Option<proc::psi::Pressure>| MessageField::from_option(line.map(line_of_pressure));
    MessageField::some(PSIStats { some: line(some), full: line(full), ..PSIStats::default() })
}

fn line_of_pressure(line: proc::psi::Pressure) -> PSIData {
    PSIData {
        avg10: line.avg10,
        avg60: line.avg60,
        avg300: line.avg300,
        total: line.total_us,
        ..PSIData::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    const PRESSURE: &str = "some avg10=1.50 avg60=0.20 avg300=0.00 total=77\n\
                            full avg10=0.50 avg60=0.00 avg300=0.00 total=5\n";

    fn full_group() -> tempfile::TempDir {
        tree(&[
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            (
                "cpu.stat",
                "usage_usec 9\nuser_usec 4\nsystem_usec 5\nnr_periods 7\nnr_throttled 1\n\
                          throttled_usec 11\nnr_bursts 2\nburst_usec 13\n",
            ),
            ("cpu.pressure", PRESSURE),
            ("memory.current", "4096\n"),
            ("memory.max", "8192\n"),
            ("memory.peak", "5000\n"),
            ("memory.swap.current", "1\n"),
            ("memory.swap.max", "max\n"),
            ("memory.swap.peak", "2\n"),
            ("memory.pressure", PRESSURE),
            (
                "memory.stat",
                "anon 10\ninactive_file 20\nworkingset_refault_anon 3\nworkingset_refault_file 4\n",
            ),
            ("memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n"),
            ("io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:0\n"),
            ("io.pressure", PRESSURE),
            ("hugetlb.2MB.current", "2097152\n"),
            ("hugetlb.2MB.max", "max\n"),
            ("hugetlb.2MB.events", "max 9\n"),
            ("hugetlb.2MB.rsvd.current", "0\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n"),
            ("rdma.max", "mlx4_0 hca_handle=max hca_object=max\n"),
        ])
    }

    #[test]
    fn every_file_finds_its_field() {
        let folder = full_group();
        let found = metrics(&Group { path: Some(folder.path()) });
        assert_eq!((found.pids.current, found.pids.limit), (3, u64::MAX));
        assert_eq!((found.cpu.usage_usec, found.cpu.nr_bursts, found.cpu.burst_usec), (9, 2, 13));
        assert_eq!((found.cpu.psi.some.total, found.cpu.psi.full.total), (77, 5));
        let memory = &found.memory;
        assert_eq!((memory.usage, memory.usage_limit, memory.max_usage), (4096, 8192, 5000));
        assert_eq!((memory.swap_usage, memory.swap_limit, memory.swap_max_usage), (1, u64::MAX, 2));
        assert_eq!((memory.anon, memory.inactive_file, memory.workingset_refault), (10, 20, 7));
        assert!((memory.psi.some.avg10 - 1.5).abs() < f64::EPSILON);
        let events = &found.memory_events;
        assert_eq!((events.low, events.oom_kill, events.oom_group_kill), (1, 5, 6));
        let io = &found.io.usage;
        assert_eq!((io[0].major, io[0].minor, io[0].rbytes, io[0].wios), (8, 16, 1, 4));
        assert_eq!(found.io.psi.full.total, 5);
        let huge = &found.hugetlb;
        assert_eq!((huge.len(), huge[0].pagesize.as_str(), huge[0].failcnt), (1, "2MB", 9));
        assert_eq!((found.rdma.current[0].hca_objects, found.rdma.limit[0].hca_handles), (2000, u32::MAX));
    }

    #[test]
    fn an_empty_group_has_no_pressure_and_zeros() {
        let folder = tree(&[]);
        let found = metrics(&Group { path: Some(folder.path()) });
        assert!(found.cpu.psi.is_none() && found.io.usage.is_empty());
        assert_eq!((found.memory.usage, found.pids.current), (0, 0));
    }
}
