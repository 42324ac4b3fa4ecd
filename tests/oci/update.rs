//! `update`: limits by flags and by a `LinuxResources` document, proved by the control files.

use serde_json::json;
use testkit::{Config, Container, Lab, conformance, hierarchy};

/// A control file and its content.
type Content = (&'static str, &'static str);

/// Flag, value, controller, and what is there afterwards on v1 and on v2.
const FLAGS: [(&str, &str, &str, Content, Content); 7] = [
    ("--memory", "67108864", "memory", ("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    (
        "--memory-reservation",
        "33554432",
        "memory",
        ("memory.soft_limit_in_bytes", "33554432"),
        ("memory.low", "33554432"),
    ),
    ("--cpu-period", "50000", "cpu", ("cpu.cfs_period_us", "50000"), ("cpu.max", "max 50000")),
    ("--cpu-quota", "25000", "cpu", ("cpu.cfs_quota_us", "25000"), ("cpu.max", "25000 50000")),
    ("--cpuset-cpus", "0", "cpuset", ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
    ("--cpuset-mems", "0", "cpuset", ("cpuset.mems", "0"), ("cpuset.mems", "0")),
    ("--pids-limit", "33", "pids", ("pids.max", "33"), ("pids.max", "33")),
];

/// Asserts the content of a control file, which has another name and unit on v2.
#[track_caller]
fn holds(c: &Container<'_>, controller: &str, v1: Content, v2: Content) {
    let (file, expected) = if hierarchy::is_v1(controller) { v1 } else { v2 };
    assert_eq!(c.read_control(controller, file), expected, "{file}");
}

/// Asserts the memory limit, and what may be swapped out besides on v2; on v1 the second limit is their sum.
#[track_caller]
fn holds_memory(c: &Container<'_>, limit: Limits) {
    holds(c, "memory", ("memory.limit_in_bytes", limit.memory), ("memory.max", limit.memory));
    holds(c, "memory", ("memory.memsw.limit_in_bytes", limit.both), ("memory.swap.max", limit.swap));
}

/// Asserts the shares, or on v2 the weight that stands for them: `old` before runc 1.3.2.
#[track_caller]
fn holds_shares(lab: &Lab, c: &Container<'_>, shares: &'static str, new: &'static str, old: &'static str) {
    let found = if hierarchy::is_v1("cpu") { shares } else { new };
    let file = if hierarchy::is_v1("cpu") { "cpu.shares" } else { "cpu.weight" };
    let content = c.read_control("cpu", file);
    assert!(content == found || (lab.is_reference() && content == old), "{file} is {content}, not {found}");
}

struct Limits {
    memory: &'static str,
    both: &'static str,
    swap: &'static str,
}

conformance! {
    fn each_flag_reaches_its_control_file(lab) {
        let c = lab.sleeper();
        for (flag, value, controller, v1, v2) in FLAGS {
            c.verb("update", &[flag, value], &[]).ok().prints("");
            holds(&c, controller, v1, v2);
        }
        c.verb("update", &["--cpu-share", "512"], &[]).ok().prints("");
        holds_shares(lab, &c, "512", "59", "20");
    }

    fn flags_given_together_are_written_together(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--memory", "67108864", "--memory-swap", "134217728", "--pids-limit=44"], &[])
            .ok();
        assert_eq!(c.read_control("pids", "pids.max"), "44");
        holds_memory(&c, Limits { memory: "67108864", both: "134217728", swap: "67108864" });
    }

    fn resources_come_as_json_on_stdin(lab) {
        let c = lab.sleeper();
        let document =
            json!({"pids": {"limit": 55}, "cpu": {"shares": 256}, "memory": {"limit": 67_108_864}});
        c.verb("update", &["--resources=-"], &[]).stdin_bytes(document.to_string().as_bytes()).ok();
        assert_eq!(c.read_control("pids", "pids.max"), "55");
        holds_shares(lab, &c, "256", "35", "10");
        holds(&c, "memory", ("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864"));
    }

    fn resources_come_from_a_file(lab) {
        let c = lab.sleeper();
        let file = lab.write("resources.json", &json!({"pids": {"limit": 66}}).to_string());
        c.verb("update", &["-r", file.to_str().unwrap()], &[]).ok();
        assert_eq!(c.read_control("pids", "pids.max"), "66");
    }

    fn malformed_resources_change_nothing(lab) {
        let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 20})));
        c.verb("update", &["--resources=-"], &[]).stdin_bytes(b"{\"pids\":").run().code(1);
        assert_eq!(c.read_control("pids", "pids.max"), "20");
    }

    fn what_is_not_named_stays(lab) {
        let config = Config::new().set("/linux/resources/pids", json!({"limit": 20}));
        let c = lab.started(&config.set("/linux/resources/cpu", json!({"shares": 300})));
        c.verb("update", &["--cpu-quota", "50000", "--cpu-period", "100000"], &[]).ok();
        assert_eq!(c.read_control("pids", "pids.max"), "20");
        holds_shares(lab, &c, "300", "39", "12");
    }

    fn a_limit_is_lifted_by_minus_one(lab) {
        let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 20})));
        c.verb("update", &["--pids-limit", "-1"], &[]).ok();
        assert_eq!(c.read_control("pids", "pids.max"), "max");
        c.verb("update", &["--memory", "67108864"], &[]).ok();
        c.verb("update", &["--memory", "-1"], &[]).ok();
        let unlimited = "9223372036854771712";
        holds(&c, "memory", ("memory.limit_in_bytes", unlimited), ("memory.max", "max"));
    }

    fn memory_goes_up_and_down_across_the_swap_limit(lab) {
        let memory = json!({"limit": 64 << 20, "swap": 64 << 20});
        let c = lab.started(&Config::new().set("/linux/resources/memory", memory));
        for size in ["134217728", "33554432"] {
            c.verb("update", &["--memory", size, "--memory-swap", size], &[]).ok();
            holds_memory(&c, Limits { memory: size, both: size, swap: "0" });
        }
    }

    fn sizes_may_have_units(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--memory", "64m"], &[]).ok();
        holds(&c, "memory", ("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864"));
    }

    fn a_created_container_is_updated(lab) {
        let c = lab.created(&Config::new());
        c.verb("update", &["--pids-limit", "21"], &[]).ok();
        assert_eq!(c.read_control("pids", "pids.max"), "21");
    }

    fn a_refused_write_is_an_error(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--cpuset-cpus", "4000"], &[]).run().code(1).says("cpuset.cpus");
        c.exec(&["true"]).ok();
    }

    fn a_word_for_a_number_is_refused(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--memory", "much"], &[]).run().code(1);
        c.verb("update", &["--pids-limit", "few"], &[]).run().code(1);
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["update", "--pids-limit", "5", "nobody"]).code(1).says("does not exist");
    }

    fn an_update_is_still_there_after_pause_and_resume(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--pids-limit", "31"], &[]).ok();
        c.pause().ok();
        c.verb("update", &["--pids-limit", "32"], &[]).ok();
        assert_eq!(c.status(), "paused");
        c.resume().ok();
        assert_eq!(c.read_control("pids", "pids.max"), "32");
    }

    fn hidden_kernel_memory_flags_are_ignored(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--kernel-memory", "67108864", "--kernel-memory-tcp", "67108864"], &[]).ok();
    }
}
