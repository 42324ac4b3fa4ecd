//! Devices: nodes made, and the rules of which may be used.

use serde_json::json;
use testkit::{Config, conformance, hierarchy};

conformance! {
    fn a_listed_device_is_made(lab) {
        let device = json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1000, "gid": 2000});
        let config = Config::new().push("/linux/devices", device);
        let output = lab.run_once(&config.args(&["stat", "-c", "%F %t %T %a %u %g", "/dev/mine"])).ok();
        output.prints("character special file 1 3 640 1000 2000");
    }

    fn a_device_in_a_directory_of_its_own_is_made(lab) {
        let device =
            json!({"path": "/dev/some/where/mine", "type": "b", "major": 7, "minor": 99, "fileMode": 0o600});
        let config = Config::new().push("/linux/devices", device);
        lab.run_once(&config.args(&["stat", "-c", "%F %t %T", "/dev/some/where/mine"]))
            .ok()
            .prints("block special file 7 63");
    }

    fn a_fifo_is_made(lab) {
        let config = Config::new()
            .push("/linux/devices", json!({"path": "/dev/pipe", "type": "p", "fileMode": 0o600}));
        lab.run_once(&config.args(&["stat", "-c", "%F", "/dev/pipe"])).ok().prints("fifo");
    }

    fn the_default_devices_may_be_used(lab) {
        let script = "head -c 1 /dev/zero >/dev/null && head -c 1 /dev/urandom >/dev/null && echo x >/dev/null && ! echo x >/dev/full";
        lab.run_once(&Config::new().script(script)).ok();
    }

    fn what_is_not_allowed_is_refused(lab) {
        let config = Config::new().push(
            "/linux/devices",
            json!({"path": "/dev/mem", "type": "c", "major": 1, "minor": 1, "fileMode": 0o666}),
        );
        lab.run_once(&config.args(&["head", "-c", "1", "/dev/mem"])).code(1).says("operation not permitted");
    }

    fn what_is_allowed_may_be_used(lab) {
        let device = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666});
        let allow = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
        let config = Config::new().push("/linux/devices", device).push("/linux/resources/devices", allow);
        let config = config.capabilities(&["CAP_SYSLOG"]);
        lab.run_once(&config.clone().script("exec 3</dev/kmsg")).ok();
        lab.run_once(&config.script("exec 3>/dev/kmsg")).code(1).says("operation not permitted");
    }

    fn exec_is_under_the_same_rules(lab) {
        let c = lab.sleeper();
        c.exec(&["sh", "-c", "mknod /dev/mem c 1 1 && head -c 1 /dev/mem"])
            .code(1)
            .says("operation not permitted");
        assert_eq!(c.shell("head -c 1 /dev/zero | wc -c"), "1");
    }

    fn an_update_without_devices_keeps_the_rules(lab) {
        let c = lab.sleeper();
        c.verb("update", &["--resources=-"], &[]).stdin_bytes(b"{\"pids\":{\"limit\":50}}").ok();
        c.exec(&["sh", "-c", "mknod /dev/mem c 1 1 && head -c 1 /dev/mem"])
            .code(1)
            .says("operation not permitted");
        assert_eq!(c.shell("head -c 1 /dev/zero | wc -c"), "1");
    }

    fn devices_in_an_update_are_not_touched(lab) {
        let c = lab.sleeper();
        for rules in [json!([{"allow": false, "access": "rwm"}]), json!([{"allow": true, "access": "rwm"}])] {
            let resources = json!({"devices": rules, "pids": {"limit": 50}}).to_string();
            c.verb("update", &["--resources=-"], &[]).stdin_bytes(resources.as_bytes()).ok();
            c.exec(&["sh", "-c", "[ -e /dev/mem ] || mknod /dev/mem c 1 1; head -c 1 /dev/mem"])
                .code(1)
                .says("operation not permitted");
            assert_eq!(c.shell("head -c 1 /dev/zero | wc -c; echo x >/dev/null"), "1");
            assert_eq!(c.read_control("pids", "pids.max"), "50");
        }
    }

    fn the_list_in_the_kernel_is_the_references(lab) {
        if !hierarchy::is_v1("devices") {
            testkit::partner::not_run("cgroup v2 has a program in place of devices.list; what it decides is tested above");
            return;
        }
        let c = lab.sleeper();
        let mut rules: Vec<String> =
            c.read_control("devices", "devices.list").lines().map(str::to_owned).collect();
        rules.sort();
        let expected = [
            "b *:* m",
            "c *:* m",
            "c 136:* rwm",
            "c 1:3 rwm",
            "c 1:5 rwm",
            "c 1:7 rwm",
            "c 1:8 rwm",
            "c 1:9 rwm",
            "c 5:0 rwm",
            "c 5:2 rwm",
        ];
        // Older runc allows /dev/net/tun (10:200) unasked; newer ones do not.
        rules.retain(|rule| rule != "c 10:200 rwm");
        assert_eq!(rules, expected);
    }

    fn an_unknown_type_is_refused(lab) {
        let config = Config::new()
            .push("/linux/devices", json!({"path": "/dev/odd", "type": "z", "major": 1, "minor": 3}));
        lab.bundle(&config).create().code(1);
    }
}
