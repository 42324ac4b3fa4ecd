//! Processors: weight from shares, quota, and the cpuset with its partitions.

use serde_json::json;
use testkit::process;

use crate::group::{above, create_refused, limited, read, update, value, write};
use crate::{both, ours};

both! {
    fn a_cpuset_confines_the_container_and_its_execs(lab) {
        let c = lab.started(&limited(&json!({"cpu": {"cpus": "0", "mems": "0"}})));
        assert_eq!(process::status_line(c.pid(), "Cpus_allowed_list"), "0");
        let list = c.shell("grep Cpus_allowed_list /proc/self/status");
        assert!(list.ends_with("\t0"), "{list}");
    }

    fn a_quota_throttles(lab) {
        let limits = json!({"cpu": {"quota": 5_000, "period": 100_000}});
        let c = lab.started(&limited(&limits).script("while :; do :; done"));
        testkit::hang::eventually("the container to be throttled", || {
            let stat = value(&c, "cpu.stat");
            stat.lines().any(|line| line.strip_prefix("nr_throttled ").is_some_and(|count| count != "0"))
        });
    }
}

/// Shares of the configuration, and the weight they become.
const WEIGHTS: [(u64, &str); 6] =
    [(2, "1"), (100, "17"), (512, "59"), (1024, "100"), (2048, "174"), (262_144, "10000")];

ours! {
    fn shares_become_a_weight_whose_usual_value_is_the_usual_one(lab) {
        let c = lab.sleeper();
        for (shares, weight) in WEIGHTS {
            update(&c, &json!({"cpu": {"shares": shares}})).ok();
            assert_eq!(value(&c, "cpu.weight"), weight, "{shares}");
        }
    }

    fn a_partition_takes_its_processor_from_the_host(lab) {
        if !testkit::partner::has_linux((6, 0), "a partition below a group that is none") {
            return;
        }
        std::fs::create_dir_all(above(lab)).unwrap();
        let top = above(lab).parent().unwrap().to_owned();
        if read(&top.join("cpuset.cpus.effective")) != "0-1" {
            eprintln!("NOT RUN: a machine of two processors is needed");
            return;
        }
        // Every level above must be a partition root, too.
        write(&top.join("cgroup.subtree_control"), "+cpuset");
        write(&above(lab).join("cpuset.cpus"), "1");
        write(&above(lab).join("cpuset.cpus.partition"), "root");
        let config = limited(&json!({"cpu": {"cpus": "1"}, "unified": {"cpuset.cpus.partition": "root"}}));
        let c = lab.started(&config);
        assert_eq!(value(&c, "cpuset.cpus.partition"), "root");
        assert_eq!(value(&c, "cpuset.cpus.effective"), "1");
        assert_eq!(read(&top.join("cpuset.cpus.effective")), "0");
        assert!(c.shell("grep Cpus_allowed_list /proc/self/status").ends_with("\t1"));
        c.delete_force().ok();
        write(&above(lab).join("cpuset.cpus.partition"), "member");
        assert_eq!(read(&top.join("cpuset.cpus.effective")), "0-1");
    }

    fn a_partition_that_is_not_valid_is_an_error_with_the_kernels_reason(lab) {
        if !testkit::partner::has_linux((6, 0), "a reason why a partition is not valid") {
            return;
        }
        let config = limited(&json!({"cpu": {"cpus": "0"}, "unified": {"cpuset.cpus.partition": "root"}}));
        let (group, text) = create_refused(lab, &config);
        let expected = format!(
            "write \"root\" to {}/cpuset.cpus.partition: the kernel took it, but it became \"root invalid (Parent is not a partition root)\"",
            group.display()
        );
        assert!(text.contains(&expected), "{text}");
    }

    fn processors_that_are_not_there_are_told_with_those_that_are(lab) {
        let online = read("/sys/devices/system/cpu/online".as_ref());
        let (group, text) = create_refused(lab, &limited(&json!({"cpu": {"cpus": "0-4000"}})));
        let expected = format!("write \"0-4000\" to {}/cpuset.cpus (processors online: {online})", group.display());
        assert!(text.contains(&expected), "{text}");
        let c = lab.sleeper();
        let output = update(&c, &json!({"cpu": {"mems": "7"}})).run().code(1);
        output.says("write \"7\" to ").says("memory nodes online: 0");
    }

    fn a_quota_the_kernel_refuses_is_told_with_what_it_takes(lab) {
        let (_, text) = create_refused(lab, &limited(&json!({"cpu": {"quota": 10, "period": 100_000}})));
        assert!(text.contains("write \"10 100000\" to "), "{text}");
        assert!(text.contains("cpu.max is max 100000; a quota is at least 1000"), "{text}");
    }
}
