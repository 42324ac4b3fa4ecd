//! `update`: every limit changed while the container runs, and taken back when one write is refused.

use serde_json::{Value, json};

use crate::group::{limited, update, value};
use crate::{both, ours};

both! {
    fn limits_change_while_the_container_runs(lab) {
        let c = lab.started(&limited(&json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}, "pids": {"limit": 20}})));
        let table: [(Value, &[(&str, &str)]); 6] = [
            (json!({"pids": {"limit": 40}}), &[("pids.max", "40")]),
            (
                json!({"memory": {"limit": 128 << 20, "swap": 256 << 20}}),
                &[("memory.max", "134217728"), ("memory.swap.max", "134217728")],
            ),
            (json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}), &[("memory.max", "33554432"), ("memory.swap.max", "0")]),
            (json!({"memory": {"limit": -1, "swap": -1}}), &[("memory.max", "max"), ("memory.swap.max", "max")]),
            (json!({"cpu": {"quota": 30_000, "period": 60_000}}), &[("cpu.max", "30000 60000")]),
            (json!({"cpu": {"cpus": "0"}}), &[("cpuset.cpus", "0")]),
        ];
        for (resources, files) in table {
            update(&c, &resources).ok();
            for (file, expected) in files {
                assert_eq!(value(&c, file), *expected, "{file} after {resources}");
            }
        }
        c.exec(&["true"]).ok();
    }
}

/// Files that the update below changes before its last write is refused.
///
/// Kernel: the nodes in force are compared, since a list of nodes that was empty stays filled while the group has
/// processes.
const FILES: [&str; 12] = [
    "memory.max",
    "memory.swap.max",
    "memory.low",
    "memory.high",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpuset.cpus",
    "pids.max",
    "hugetlb.2MB.max",
    "hugetlb.2MB.rsvd.max",
    "cpuset.mems.effective",
];

ours! {
    fn a_refused_write_takes_all_others_back(lab) {
        if !testkit::partner::has_linux((5, 14), "a burst of processor time") {
            return;
        }
        let c = lab.started(&limited(&json!({
            "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 16 << 20},
            "cpu": {"quota": 50_000, "period": 100_000, "burst": 10_000, "shares": 512, "cpus": "0-1"},
            "pids": {"limit": 20},
            "unified": {"memory.high": "60000000"},
        })));
        let before = FILES.map(|file| value(&c, file));
        let wanted = json!({
            "memory": {"limit": 128 << 20, "swap": 256 << 20, "reservation": 32 << 20},
            "cpu": {"quota": 5_000, "period": 10_000, "burst": 1_000, "shares": 2048, "cpus": "0", "mems": "0"},
            "pids": {"limit": 40},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}],
            "unified": {"memory.high": "max", "pids.max": "many"},
        });
        update(&c, &wanted).run().code(1).says("write \"many\"").says("the former limits are in force");
        assert_eq!(FILES.map(|file| value(&c, file)), before);
        // What is on disk is also as it was: the next update starts from there.
        update(&c, &json!({"memory": {"limit": 48 << 20}})).ok();
        assert_eq!((value(&c, "memory.max"), value(&c, "memory.swap.max")), ("50331648".into(), "50331648".into()));
    }

    fn every_limit_has_its_update(lab) {
        if !testkit::partner::has_linux((5, 15), "an idle group") {
            return;
        }
        let c = lab.sleeper();
        let table = [
            (json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 5_000}}), "cpu.max.burst", "5000"),
            (json!({"cpu": {"idle": 1}}), "cpu.idle", "1"),
            (json!({"cpu": {"idle": 0, "shares": 1024}}), "cpu.weight", "100"),
            (json!({"memory": {"limit": 64 << 20, "reservation": 8 << 20}}), "memory.low", "8388608"),
            (json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]}), "hugetlb.2MB.max", "2097152"),
            (json!({"unified": {"memory.min": "1048576"}}), "memory.min", "1048576"),
            (json!({"unified": {"memory.oom.group": "1"}}), "memory.oom.group", "1"),
            (json!({"pids": {"limit": -1}}), "pids.max", "max"),
        ];
        for (resources, file, expected) in table {
            update(&c, &resources).ok();
            assert_eq!(value(&c, file), expected, "{resources}");
        }
    }

    fn a_burst_beyond_the_quota_changes_nothing_and_says_what_would_fit(lab) {
        if !testkit::partner::has_linux((5, 14), "a burst of processor time") {
            return;
        }
        let c = lab.started(&limited(&json!({"cpu": {"quota": 50_000, "period": 100_000}})));
        let output = update(&c, &json!({"cpu": {"burst": 60_000}})).run().code(1);
        output.says("cpu.max.burst").says("cpu.max is 50000 100000").says("a burst at most the quota");
        assert_eq!((value(&c, "cpu.max"), value(&c, "cpu.max.burst")), ("50000 100000".into(), "0".into()));
    }
}
