//! Limits in files and in systemd's properties, which must say the same: `daemon-reload` writes the properties anew.

use crate::scope::{Scope, systemd};
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use testkit::{Config, conformance, hierarchy};

/// Controller, file on v1, file on v2, what is in it after [`FLAGS`].
const FILES: [(&str, &str, &str, &str, &str); 4] = [
    ("memory", "memory.limit_in_bytes", "memory.max", "33554432", "33554432"),
    ("pids", "pids.max", "pids.max", "33", "33"),
    ("cpu", "cpu.cfs_quota_us", "cpu.max", "25000", "25000 50000"),
    ("cpuset", "cpuset.cpus", "cpuset.cpus", "0", "0"),
];

const FLAGS: [&str; 8] = [
    "--memory=33554432",
    "--memory-swap=33554432",
    "--pids-limit=33",
    "--cpu-quota=25000",
    "--cpu-period=50000",
    "--cpu-share=512",
    "--cpuset-cpus=0",
    "--cpuset-mems=0",
];

/// The same before, for a container with 20 processes and half a processor.
const FORMER: [(&str, &str, &str, &str, &str); 3] = [
    ("memory", "memory.limit_in_bytes", "memory.max", "9223372036854771712", "max"),
    ("pids", "pids.max", "pids.max", "20", "20"),
    ("cpu", "cpu.cfs_quota_us", "cpu.max", "30000", "30000 60000"),
];

/// Numbers of the disk that has the root file system: a partition has no limits of its own.
fn disk() -> (u32, u32) {
    let device = std::fs::metadata("/").unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let partition = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if !partition.join("partition").exists() {
        return (major, minor);
    }
    let whole = std::fs::read_to_string(partition.join("../dev")).unwrap();
    let (major, minor) = whole.trim().split_once(':').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

#[track_caller]
fn assert_limits(scope: &Scope<'_>, when: &str) {
    for (controller, v1, v2, on_v1, on_v2) in FILES {
        let (file, expected) = if hierarchy::is_v1(controller) { (v1, on_v1) } else { (v2, on_v2) };
        assert_eq!(scope.read(controller, file), expected, "{file} {when}");
    }
}

conformance! {
    fn updated_limits_outlive_a_reload_of_systemd(lab) {
        let Some(_peace) = systemd() else { return };
        let memory = json!({"limit": 64 << 20, "swap": 64 << 20});
        let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources/memory", memory));
        scope.container.verb("update", &FLAGS, &[]).ok();
        assert_limits(&scope, "after update");
        lab.program("systemctl").args(["daemon-reload"]).ok();
        assert_limits(&scope, "after daemon-reload");
        assert_eq!(scope.property("TasksMax"), "33");
    }

    fn configured_limits_outlive_a_reload_of_systemd(lab) {
        let Some(_peace) = systemd() else { return };
        let resources = json!({
            "memory": {"limit": 32 << 20, "swap": 32 << 20},
            "pids": {"limit": 33},
            "cpu": {"quota": 25000, "period": 50000, "cpus": "0", "mems": "0"},
        });
        let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources", resources));
        assert_limits(&scope, "after create");
        lab.program("systemctl").args(["daemon-reload"]).ok();
        assert_limits(&scope, "after daemon-reload");
    }

    fn device_rules_outlive_an_update_and_a_reload_of_systemd(lab) {
        let Some(_peace) = systemd() else { return };
        // Opening /dev/kmsg for writing needs nothing but the device rules' consent.
        let kmsg = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"});
        let deny = json!({"allow": false, "access": "rwm"});
        for (rules, code) in [(json!([deny]), 1), (json!([deny, kmsg]), 0)] {
            let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources/devices", rules));
            scope.container.exec(&["mknod", "/kmsg", "c", "1", "11"]).ok();
            let open = || scope.container.exec(&["sh", "-c", ": > /kmsg && : > /dev/null"]).code(code);
            open();
            scope.container.verb("update", &["--pids-limit=33"], &[]).ok();
            open();
            lab.program("systemctl").args(["daemon-reload"]).ok();
            open();
            scope.container.exec(&["sh", "-c", ": > /dev/null"]).ok();
        }
    }

    fn an_update_that_is_taken_back_is_so_for_systemd_too(lab) {
        let Some(_peace) = systemd() else { return };
        if lab.reference_lacks("a way back") {
            return;
        }
        let resources = json!({"pids": {"limit": 20}, "cpu": {"quota": 30000, "period": 60000}});
        let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources", resources));
        let root = lab.root().display().to_string();
        lab.program("mount").args(["--bind", &root, &root]).ok();
        lab.program("mount").args(["--options", "remount,bind,ro", &root]).ok();
        // A cpuset with processes in it cannot become empty again.
        let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| !flag.starts_with("--cpuset")).collect();
        let output = scope.container.verb("update", &flags, &[]).run();
        lab.program("umount").args([&root]).ok();
        output.code(1).says("state.json (the former state is intact): the file system is read-only");
        for when in ["after the update", "after daemon-reload"] {
            for (controller, v1, v2, on_v1, on_v2) in FORMER {
                let (file, expected) = if hierarchy::is_v1(controller) { (v1, on_v1) } else { (v2, on_v2) };
                assert_eq!(scope.read(controller, file), expected, "{file} {when}");
            }
            assert_eq!(scope.property("TasksMax"), "20", "{when}");
            lab.program("systemctl").args(["daemon-reload"]).ok();
        }
    }

    fn raw_values_outlive_a_reload_of_systemd(lab) {
        let Some(_peace) = systemd() else { return };
        if hierarchy::is_v1("memory") || lab.reference_lacks("suffixes") {
            return;
        }
        let unified = json!({"memory.max": "64M", "memory.high": "48m", "memory.low": "1M"});
        let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources/unified", unified));
        let expected = [("memory.max", 64 << 20), ("memory.high", 48 << 20), ("memory.low", 1 << 20)];
        for _ in 0..2 {
            for (file, value) in expected {
                assert_eq!(scope.read("memory", file), value.to_string(), "{file}");
            }
            lab.program("systemctl").args(["daemon-reload"]).ok();
        }
        scope.container.verb("update", &["--memory=33554432"], &[]).ok();
        assert_eq!(scope.read("memory", "memory.high"), (48 << 20).to_string(), "after an update of another limit");
    }

    fn an_idle_group_stays_idle(lab) {
        let Some(_peace) = systemd() else { return };
        let idle = Config::new().set("/linux/resources/cpu", json!({"idle": 1}));
        if hierarchy::is_v1("cpu") || lab.reference_lacks("a word to systemd about it, in this version") {
            return;
        }
        if !hierarchy::directory("cpu", "/system.slice").join("cpu.idle").exists() {
            return testkit::partner::not_run("cpu.idle came with Linux 5.15");
        }
        let scope = Scope::sleeper(lab, &idle);
        for expected in ["1", "0"] {
            assert_eq!(scope.read("cpu", "cpu.idle"), expected);
            lab.program("systemctl").args(["daemon-reload"]).ok();
            assert_eq!(scope.read("cpu", "cpu.idle"), expected, "after daemon-reload");
            scope.container.verb("update", &["--cpu-idle=0"], &[]).ok();
        }
    }

    fn limits_of_devices_outlive_a_reload_of_systemd(lab) {
        let Some(_peace) = systemd() else { return };
        if hierarchy::is_v1("blkio") {
            return;
        }
        let (major, minor) = disk();
        let throttle = json!([{"major": major, "minor": minor, "rate": 1 << 20}]);
        let scope = Scope::sleeper(lab, &Config::new().set("/linux/resources/blockIO", json!({"throttleReadBpsDevice": throttle})));
        let expected = format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=max");
        assert_eq!(scope.read("io", "io.max"), expected);
        lab.program("systemctl").args(["daemon-reload"]).ok();
        assert_eq!(scope.read("io", "io.max"), expected, "after daemon-reload");
    }
}
