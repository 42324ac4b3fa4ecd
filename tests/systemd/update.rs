//! Limits in files and in systemd's properties, which must say the same: `daemon-reload` writes the properties anew.

use crate::scope::{Scope, systemd};
use serde_json::json;
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
}
