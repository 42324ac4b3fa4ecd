//! The message for cgroup v1.
//!
//! Source: the kernel's admin-guide/cgroup-v1, for the names of files and keys.

use super::Group;
use cgroup::Paths;
use containerd_shim_protos::cgroups::metrics::{
    BlkIOEntry, BlkIOStat, CPUStat, CPUUsage, HugetlbStat, MemoryEntry, MemoryOomControl, MemoryStat,
    Metrics, PidsStat, RdmaEntry, RdmaStat, Throttle,
};
use proc::kv;
use protobuf::MessageField;
use std::collections::BTreeMap;

/// Nanoseconds in one `USER_HZ` tick, the unit of `cpuacct.stat`.
///
/// Kernel: `USER_HZ` is 100 on x86-64 and arm64.
const TICK: u64 = 10_000_000;

pub(super) fn metrics(paths: &Paths) -> Metrics {
    let of = |controller| Group { path: paths.v1(controller) };
    let (memory_group, huge) = (of("memory"), of("hugetlb"));
    Metrics {
        hugetlb: huge.page_sizes("usage_in_bytes").into_iter().map(|size| huge_pages(&huge, size)).collect(),
        pids: MessageField::some(PidsStat {
            current: of("pids").number("pids.current"),
            // Compat: containerd/cgroups, cgroup1: no limit is 0.
            limit: of("pids").number("pids.max"),
            ..PidsStat::default()
        }),
        cpu: MessageField::some(cpu(&of("cpu"), &of("cpuacct"))),
        memory: MessageField::some(memory(&memory_group)),
        blkio: MessageField::some(block_io(&of("blkio"))),
        rdma: MessageField::some(RdmaStat {
            current: rdma(&of("rdma").text("rdma.current")),
            limit: rdma(&of("rdma").text("rdma.max")),
            ..RdmaStat::default()
        }),
        memory_oom_control: MessageField::some(oom_control(&memory_group.text("memory.oom_control"))),
        ..Metrics::default()
    }
}

fn cpu(cpu: &Group<'_>, cpuacct: &Group<'_>) -> CPUStat {
    let stat = cpuacct.text("cpuacct.stat");
    let ticks = |key| kv::lookup(&stat, key).unwrap_or(0).saturating_mul(TICK);
    let each = cpuacct.text("cpuacct.usage_percpu");
    let throttling = cpu.text("cpu.stat");
    let value = |key| kv::lookup(&throttling, key).unwrap_or(0);
    CPUStat {
        usage: MessageField::some(CPUUsage {
            total: cpuacct.number("cpuacct.usage"),
            kernel: ticks("system"),
            user: ticks("user"),
            per_cpu: each.split_ascii_whitespace().map(|time| time.parse().unwrap_or(0)).collect(),
            ..CPUUsage::default()
        }),
        throttling: MessageField::some(Throttle {
            periods: value("nr_periods"),
            throttled_periods: value("nr_throttled"),
            throttled_time: value("throttled_time"),
            ..Throttle::default()
        }),
        ..CPUStat::default()
    }
}

fn memory(group: &Group<'_>) -> MemoryStat {
    let entry = |prefix: &str| {
        MessageField::some(MemoryEntry {
            limit: group.number(&format!("{prefix}.limit_in_bytes")),
            usage: group.number(&format!("{prefix}.usage_in_bytes")),
            max: group.number(&format!("{prefix}.max_usage_in_bytes")),
            failcnt: group.number(&format!("{prefix}.failcnt")),
            ..MemoryEntry::default()
        })
    };
    MemoryStat {
        usage: entry("memory"),
        swap: entry("memory.memsw"),
        kernel: entry("memory.kmem"),
        kernel_tcp: entry("memory.kmem.tcp"),
        ..memory_stat(&group.text("memory.stat"))
    }
}

/// `memory.stat`: the group alone, then, as `total_`, with the groups below it.
fn memory_stat(text: &str) -> MemoryStat {
    let table: BTreeMap<&str, u64> =
        kv::flat_keyed(text).into_iter().filter_map(|(key, value)| Some((key, value.number()?))).collect();
    let value = |key| table.get(key).copied().unwrap_or(0);
    MemoryStat {
        cache: value("cache"),
        rss: value("rss"),
        rss_huge: value("rss_huge"),
        mapped_file: value("mapped_file"),
        dirty: value("dirty"),
        writeback: value("writeback"),
        pg_pg_in: value("pgpgin"),
        pg_pg_out: value("pgpgout"),
        pg_fault: value("pgfault"),
        pg_maj_fault: value("pgmajfault"),
        inactive_anon: value("inactive_anon"),
        active_anon: value("active_anon"),
        inactive_file: value("inactive_file"),
        active_file: value("active_file"),
        unevictable: value("unevictable"),
        hierarchical_memory_limit: value("hierarchical_memory_limit"),
        hierarchical_swap_limit: value("hierarchical_memsw_limit"),
        total_cache: value("total_cache"),
        total_rss: value("total_rss"),
        total_rss_huge: value("total_rss_huge"),
        total_mapped_file: value("total_mapped_file"),
        total_dirty: value("total_dirty"),
        total_writeback: value("total_writeback"),
        total_pg_pg_in: value("total_pgpgin"),
        total_pg_pg_out: value("total_pgpgout"),
        total_pg_fault: value("total_pgfault"),
        total_pg_maj_fault: value("total_pgmajfault"),
        total_inactive_anon: value("total_inactive_anon"),
        total_active_anon: value("total_active_anon"),
        total_inactive_file: value("total_inactive_file"),
        total_active_file: value("total_active_file"),
        total_unevictable: value("total_unevictable"),
        ..MemoryStat::default()
    }
}

fn oom_control(text: &str) -> MemoryOomControl {
    let value = |key| kv::lookup(text, key).unwrap_or(0);
    MemoryOomControl {
        oom_kill_disable: value("oom_kill_disable"),
        under_oom: value("under_oom"),
        oom_kill: value("oom_kill"),
        ..MemoryOomControl::default()
    }
}

/// The scheduler that counts: CFQ (before 5.0) has all files, BFQ and the throttler two each.
fn block_io(group: &Group<'_>) -> BlkIOStat {
    let table = |name: &str| block_io_entries(&group.text(&format!("blkio.{name}")));
    let first = |name: &str| {
        let names = [name.to_owned(), format!("bfq.{name}"), format!("throttle.{name}")];
        names.iter().map(|name| table(name)).find(|found| !found.is_empty()).unwrap_or_default()
    };
    BlkIOStat {
        io_service_bytes_recursive: first("io_service_bytes_recursive"),
        io_serviced_recursive: first("io_serviced_recursive"),
        io_queued_recursive: table("io_queued_recursive"),
        io_service_time_recursive: table("io_service_time_recursive"),
        io_wait_time_recursive: table("io_wait_time_recursive"),
        io_merged_recursive: table("io_merged_recursive"),
        io_time_recursive: table("time_recursive"),
        sectors_recursive: table("sectors_recursive"),
        ..BlkIOStat::default()
    }
}

/// `8:0 Read 4096` a line; a last line `Total N` has no device and is left out.
fn block_io_entries(text: &str) -> Vec<BlkIOEntry> {
    let row = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let device = words.next()?;
        let (major, minor) = device.split_once(':')?;
        let (op, value) = match (words.next()?, words.next()) {
            (op, Some(value)) => (op, value),
            (value, None) => ("", value),
        };
        Some(BlkIOEntry {
            op: op.to_owned(),
            device: device_name(device),
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            value: value.parse().ok()?,
            ..BlkIOEntry::default()
        })
    };
    text.lines().filter_map(row).collect()
}

/// `/dev/NAME`; empty when the device is not known.
fn device_name(device: &str) -> String {
    let name = std::fs::read_link(format!("/sys/dev/block/{device}")).ok();
    let name = name.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    name.map(|name| format!("/dev/{name}")).unwrap_or_default()
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

fn huge_pages(group: &Group<'_>, pagesize: String) -> HugetlbStat {
    let number = |end: &str| group.number(&format!("hugetlb.{pagesize}.{end}"));
    HugetlbStat {
        usage: number("usage_in_bytes"),
        max: number("max_usage_in_bytes"),
        failcnt: number("failcnt"),
        pagesize,
        ..HugetlbStat::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    #[test]
    fn every_file_finds_its_field() {
        let folder = tree(&[
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            ("cpuacct.usage", "900\n"),
            ("cpuacct.stat", "user 2\nsystem 3\n"),
            ("cpuacct.usage_percpu", "400 500 \n"),
            ("cpu.stat", "nr_periods 7\nnr_throttled 1\nthrottled_time 11\n"),
            ("memory.limit_in_bytes", "8192\n"),
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.memsw.failcnt", "6\n"),
            ("memory.kmem.tcp.usage_in_bytes", "5\n"),
            ("memory.stat", "cache 1\npgpgin 2\nhierarchical_memsw_limit 3\ntotal_inactive_file 4\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n"),
            ("blkio.throttle.io_service_bytes_recursive", "9999:7 Read 4096\nTotal 4096\n"),
            ("hugetlb.2MB.usage_in_bytes", "2097152\n"),
            ("hugetlb.2MB.failcnt", "9\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=20\n"),
        ]);
        let controllers = ["pids", "cpu", "cpuacct", "memory", "blkio", "hugetlb", "rdma"];
        let path = |name: &str| (name.to_owned(), folder.path().to_owned());
        let found = metrics(&Paths { v1: controllers.map(path).into(), ..Paths::default() });
        assert_eq!((found.pids.current, found.pids.limit), (3, 0));
        assert_eq!(
            (found.cpu.usage.total, found.cpu.usage.user, found.cpu.usage.kernel),
            (900, 2 * TICK, 3 * TICK)
        );
        assert_eq!(
            (&found.cpu.usage.per_cpu[..], found.cpu.throttling.throttled_time),
            (&[400, 500][..], 11)
        );
        let memory = &found.memory;
        assert_eq!((memory.usage.limit, memory.usage.usage, memory.swap.failcnt), (8192, 4096, 6));
        assert_eq!((memory.kernel_tcp.usage, memory.cache, memory.pg_pg_in), (5, 1, 2));
        assert_eq!((memory.hierarchical_swap_limit, memory.total_inactive_file), (3, 4));
        assert_eq!((found.memory_oom_control.under_oom, found.memory_oom_control.oom_kill), (1, 2));
        let bytes = &found.blkio.io_service_bytes_recursive;
        assert_eq!(
            (bytes.len(), bytes[0].major, bytes[0].op.as_str(), bytes[0].value),
            (1, 9999, "Read", 4096)
        );
        assert_eq!((found.hugetlb[0].usage, found.hugetlb[0].failcnt), (2_097_152, 9));
        assert_eq!(found.rdma.current[0].hca_objects, 20);
    }
}
