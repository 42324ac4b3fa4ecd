//! Limits at create, proved by the control files.

use serde_json::{Value, json};
use testkit::{Container, hierarchy};

use crate::both;
use crate::group::{create_refused, limited, value};
use crate::ours;

/// Resources, then file and content afterwards; the reference agrees.
fn common() -> Vec<(Value, Vec<(&'static str, &'static str)>)> {
    vec![
        (
            json!({"memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
                   "pids": {"limit": 77},
                   "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
                   "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}),
            vec![
                ("memory.max", "67108864"),
                ("memory.swap.max", "33554432"),
                ("memory.low", "33554432"),
                ("pids.max", "77"),
                ("cpu.max", "50000 100000"),
                ("cpuset.cpus", "0"),
                ("cpuset.cpus.effective", "0"),
                ("cpuset.mems", "0"),
                ("hugetlb.2MB.max", "4194304"),
            ],
        ),
        (
            json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}, "cpu": {"quota": -1}, "pids": {"limit": -1}}),
            vec![
                ("memory.max", "67108864"),
                ("memory.swap.max", "0"),
                ("cpu.max", "max 100000"),
                ("pids.max", "max"),
            ],
        ),
        (
            json!({"memory": {"limit": 64 << 20, "swap": -1}, "cpu": {"period": 50_000}}),
            vec![("memory.max", "67108864"), ("memory.swap.max", "max"), ("cpu.max", "max 50000")],
        ),
        (
            json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 0}, "cpu": {"quota": 0, "shares": 0}}),
            vec![
                ("memory.max", "67108864"),
                ("memory.swap.max", "max"),
                ("pids.max", "max"),
                ("cpu.weight", "100"),
            ],
        ),
        (
            json!({"unified": {"memory.high": "50331648", "memory.min": "4194304", "memory.swap.high": "8388608",
                               "memory.oom.group": "1", "cpu.weight": "250", "pids.max": "88"}}),
            vec![
                ("memory.high", "50331648"),
                ("memory.min", "4194304"),
                ("memory.swap.high", "8388608"),
                ("memory.oom.group", "1"),
                ("cpu.weight", "250"),
                ("pids.max", "88"),
            ],
        ),
    ]
}

#[track_caller]
fn holds(c: &Container<'_>, files: &[(&str, &str)]) {
    for (file, expected) in files {
        assert_eq!(value(c, file), *expected, "{file}");
    }
}

both! {
    fn each_resource_reaches_its_files(lab) {
        for (resources, files) in common() {
            let c = lab.created(&limited(&resources));
            holds(&c, &files);
            c.delete_force().ok();
        }
    }

    fn swap_without_a_limit_is_refused(lab) {
        if lab.reference_lacks("a message for it: it drops the swap limit in silence") {
            return;
        }
        let (_, text) = create_refused(lab, &limited(&json!({"memory": {"swap": 64 << 20}})));
        assert!(text.ends_with(
            "linux/resources/memory/swap: needs memory/limit beside it, since it counts memory and swap together"
        ), "{text}");
    }

    fn swap_below_memory_is_refused(lab) {
        let memory = json!({"memory": {"limit": 64 << 20, "swap": 32 << 20}});
        let c = lab.bundle(&limited(&memory));
        c.create().code(1).says("swap");
        assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
    }
}

ours! {
    fn burst_idle_and_reserved_huge_pages_reach_their_files(lab) {
        if !testkit::partner::has_linux((5, 15), "an idle group") {
            return;
        }
        let c = lab.created(&limited(&json!({
            "cpu": {"quota": 50_000, "period": 100_000, "burst": 20_000},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}, {"pageSize": "1GB", "limit": 0}],
        })));
        holds(&c, &[("cpu.max.burst", "20000"), ("hugetlb.2MB.rsvd.max", "4194304"), ("hugetlb.1GB.max", "0")]);
        let c = lab.created(&limited(&json!({"cpu": {"idle": 1, "shares": 512}})));
        holds(&c, &[("cpu.idle", "1")]);
        // An idle group has no weight: the kernel would refuse one.
        let c = lab.created(&limited(&json!({"cpu": {"idle": 0, "shares": 512}})));
        holds(&c, &[("cpu.idle", "0"), ("cpu.weight", "59")]);
    }

    fn a_huge_page_size_that_is_not_there_is_named_with_those_that_are(lab) {
        let limits = json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]});
        let (group, text) = create_refused(lab, &limited(&limits));
        let expected = format!(
            "linux/resources/hugepageLimits/0: there is no {}/hugetlb.3MB.max to write \"0\" to (the hugetlb controller has hugetlb.",
            group.display()
        );
        assert!(text.contains(&expected) && text.contains("hugetlb.2MB.max"), "{text}");
    }

    fn an_rdma_device_that_is_not_there_is_named(lab) {
        let (group, text) = create_refused(lab, &limited(&json!({"rdma": {"mlx5_1": {"hcaHandles": 3}}})));
        let expected = format!("write \"mlx5_1 hca_handle=3\" to {}/rdma.max (there is no RDMA device of this name)", group.display());
        assert!(text.contains(&expected), "{text}");
    }

    fn what_only_v1_has_is_an_error_or_a_warning(lab) {
        let (_, text) = create_refused(lab, &limited(&json!({"cpu": {"realtimeRuntime": 1000}})));
        assert!(text.ends_with("linux/resources/cpu/realtimeRuntime: the cpu controller is not available (it exists in cgroup v1 only)"), "{text}");
        let (_, text) = create_refused(lab, &limited(&json!({"network": {"classID": 5}})));
        assert!(text.ends_with("linux/resources/network/classID: the net_cls controller is not available (it exists in cgroup v1 only)"), "{text}");
        let c = lab.bundle(&limited(&json!({"memory": {"swappiness": 10, "kernelTCP": 1 << 20}})));
        c.create().ok().says("memory/swappiness is ignored").says("memory/kernelTCP is ignored");
    }
}
