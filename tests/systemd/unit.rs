//! The life of a container's unit, from `create` to `delete`.

use crate::scope::{Scope, show, systemd};
use serde_json::json;
use testkit::hang::eventually;
use testkit::systemd::wait_gone;
use testkit::{Config, conformance, hierarchy};

conformance! {
    fn the_unit_is_there_from_create_to_delete(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::bundle_in(lab, "sluicetest-a-b.slice", &Config::new());
        scope.create().ok();
        let group = scope.group("/sluicetest.slice/sluicetest-a.slice");
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", scope.container.pid())).unwrap();
        assert_eq!(hierarchy::group_in(&text, "pids"), group);
        for (property, expected) in
            [("ActiveState", "active"), ("Delegate", "yes"), ("Slice", "sluicetest-a-b.slice"), ("ControlGroup", &group)]
        {
            assert_eq!(scope.property(property), expected, "{property}");
        }
        scope.container.start().ok();
        scope.container.stop();
        scope.container.delete().ok();
        wait_gone(lab, &scope.unit());
        assert_eq!(hierarchy::existing(&group), Vec::<std::path::PathBuf>::new());
    }

    fn no_slice_is_the_slice_of_the_system(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::bundle_in(lab, "", &Config::new());
        scope.create().ok();
        assert_eq!(scope.property("Slice"), "system.slice");
    }

    fn an_exec_is_in_the_scope(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::sleeper(lab, &Config::new().without_namespace("cgroup"));
        let text = scope.container.exec(&["cat", "/proc/self/cgroup"]).ok().stdout;
        assert_eq!(hierarchy::group_in(&text, "pids"), scope.group(""));
    }

    fn the_root_of_the_cgroup_namespace_is_the_scope(lab) {
        let Some(_peace) = systemd() else { return };
        let config = Config::new().without_namespace("cgroup").namespace("cgroup", None);
        let scope = Scope::bundle(lab, &config.args(&["cat", "/proc/self/cgroup"]));
        let text = scope.run().ok().stdout;
        assert_eq!(hierarchy::group_in(&text, "pids"), "/");
    }

    fn a_process_limit_of_one_leaves_room_for_init(lab) {
        let Some(_peace) = systemd() else { return };
        if lab.reference_lacks("an init of one thread") {
            return;
        }
        let config = Config::new().set("/linux/resources/pids", json!({"limit": 1}));
        Scope::bundle(lab, &config.args(&["echo", "here"])).run().ok().prints("here");
    }

    fn a_unit_that_went_behind_our_back_is_deleted(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::sleeper(lab, &Config::new());
        lab.program("systemctl").args(["kill", "--signal=KILL", &scope.unit()]).ok();
        scope.container.wait_status("stopped");
        wait_gone(lab, &scope.unit());
        scope.container.delete().ok();
    }

    fn a_unit_of_that_name_is_left_alone(lab) {
        let Some(_peace) = systemd() else { return };
        let scope = Scope::bundle(lab, &Config::new());
        let other = ["--scope", "--quiet", "--slice=sluicetest2.slice", "--unit", &scope.unit(), "sleep", "1000000"];
        let other = lab.program("systemd-run").args(other).spawn();
        eventually("the other unit", || scope.property("ActiveState") == "active");
        let output = scope.create().run();
        if !lab.reference_lacks("a look at the unit: it joins what is there") {
            output.code(1).says(&format!("start unit {}: it is there already (active)", scope.unit()));
        }
        assert_eq!(scope.property("ActiveState"), "active");
        other.signal(rustix::process::Signal::KILL);
        other.wait();
    }

    fn a_slice_of_that_name_is_left_alone(lab) {
        let Some(_peace) = systemd() else { return };
        if lab.reference_lacks("a look at the unit: it joins what is there") {
            return;
        }
        let slice = "sluicetest3-other.slice";
        lab.program("systemctl").args(["start", slice]).ok();
        let scope = Scope::bundle_at(lab, &format!("sluicetest3.slice:st:{slice}"));
        let output = scope.create().run();
        let state = show(lab, slice, "ActiveState");
        lab.program("systemctl").args(["stop", slice]).ok();
        output.code(1).says(&format!("start unit {slice}: it is there already (active)"));
        assert_eq!(state, "active", "{slice} was there before");
    }

    fn a_unit_that_ended_badly_is_cleared_away(lab) {
        let Some(_peace) = systemd() else { return };
        if lab.reference_lacks("a second try") {
            return;
        }
        let scope = Scope::bundle(lab, &Config::new());
        let unit = scope.unit();
        let options = ["--scope", "--quiet", "--property=RuntimeMaxSec=1", "--unit", &unit, "sleep", "1000000"];
        lab.program("systemd-run").args(options).run();
        eventually("the other unit to fail", || show(lab, &unit, "ActiveState") == "failed");
        scope.create().ok();
        assert_eq!(scope.property("ActiveState"), "active");
    }

    fn annotations_are_properties(lab) {
        let Some(_peace) = systemd() else { return };
        let key = |name: &str| format!("/annotations/org.systemd.property.{name}");
        let config = Config::new()
            .set(&key("TimeoutStopUSec"), json!("uint64 7000000"))
            .set(&key("CollectMode"), json!("'inactive-or-failed'"));
        let scope = Scope::bundle(lab, &config);
        scope.create().ok();
        assert_eq!(scope.property("TimeoutStopUSec"), "7s");
        assert_eq!(scope.property("CollectMode"), "inactive-or-failed");
    }
}
