//! What systemd does not take: each error says what would be right, and nothing is left.

use crate::scope::{Scope, systemd};
use serde_json::json;
use testkit::systemd::wait_gone;
use testkit::{Config, conformance};

conformance! {
    fn a_path_that_is_no_unit_is_refused(lab) {
        let Some(_peace) = systemd() else { return };
        let long = format!("sluicetest.slice:st:{}", "n".repeat(248));
        let table = [
            ("/a/b", "with --systemd-cgroup it must be SLICE:PREFIX:NAME"),
            ("sluicetest.slice:st", "with --systemd-cgroup it must be SLICE:PREFIX:NAME"),
            ("sluicetest:st:name", "the slice \"sluicetest\" must end in .slice"),
            ("sluicetest--a.slice:st:name", "must have one dash between two levels"),
            ("sluicetest/a.slice:st:name", "would have a '/'"),
            ("sluicetest.slice:st:a name", "would have a ' '"),
            (&long, "would have 257 bytes, but systemd takes at most 255"),
        ];
        for (path, expected) in table {
            let scope = Scope::bundle(lab, &Config::new());
            scope.container.write_config(&Config::new().set("/linux/cgroupsPath", json!(path)));
            let output = scope.create().run().code(1);
            if !lab.is_reference() {
                output.says("linux/cgroupsPath").says(expected);
            }
        }
    }

    fn without_the_option_the_form_for_systemd_is_a_directory(lab) {
        let path = format!("{}/sluicetest.slice:st:name", lab.group());
        let container = lab.created(&Config::new().set("/linux/cgroupsPath", json!(path)));
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
        assert_eq!(testkit::hierarchy::group_in(&text, "pids"), path);
    }

    fn an_annotation_that_is_no_property_is_refused(lab) {
        let Some(_peace) = systemd() else { return };
        let config = Config::new().set("/annotations/org.systemd.property.CollectMode", json!("failed"));
        let output = Scope::bundle(lab, &config).create().run().code(1);
        if !lab.is_reference() {
            output.says("annotations/org.systemd.property.CollectMode").says("must be a GVariant in text form");
        }
    }

    fn a_property_that_systemd_does_not_have_is_named(lab) {
        let Some(_peace) = systemd() else { return };
        let config = Config::new().set("/annotations/org.systemd.property.NoSuchThing", json!("true"));
        Scope::bundle(lab, &config).create().run().code(1).says("NoSuchThing");
    }

    fn a_read_only_tree_is_told_and_nothing_is_left(lab) {
        let Some(_peace) = systemd() else { return };
        if testkit::hierarchy::is_v1("pids") {
            return testkit::partner::not_run("a tree of cgroup v1 is many mounts");
        }
        let scope = Scope::bundle(lab, &Config::new().set("/linux/resources/pids", json!({"limit": 20})));
        let script = "exec unshare --mount sh -c 'mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"' sh \"$@\"";
        let output = scope.create().through_shell(script).run().code(1);
        if !lab.is_reference() {
            output.says("write \"20\" to ").says("/pids.max (/sys/fs/cgroup is mounted read-only)");
        }
        wait_gone(lab, &scope.unit());
    }
}
