//! Limits of a user's container: in a delegated group they are set, elsewhere they are refused.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use testkit::conformance;

use crate::user::User;

/// The control file of the group in which a process is.
fn control(pid: i32, file: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    PathBuf::from("/sys/fs/cgroup").join(group).join(file)
}

fn limited(user: &User<'_>) -> String {
    user.bundle("b", |config| {
        config["process"]["args"] = json!(["sleep", "1000000"]);
        config["linux"]["resources"] = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}});
    })
}

conformance! {
    fn a_delegated_group_has_limits_and_a_freezer(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = limited(&user);
        let id = format!("st-{}-{}", lab.runtime().name(), std::process::id());
        user.rt_delegated(&["run", "--detach", "--bundle", &bundle, &id]).ok();
        let pid = user.pid(&id);
        let read = |file: &str| fs::read_to_string(control(pid, file)).unwrap().trim().to_owned();
        assert_eq!((read("memory.max"), read("pids.max")), ((64 << 20).to_string(), "20".to_owned()));
        user.rt_delegated(&["exec", &id, "id", "-u"]).ok().prints("0");
        user.rt(&["update", "--memory", "33554432", &id]).ok();
        assert_eq!(read("memory.max"), "33554432");
        user.rt(&["pause", &id]).ok();
        assert_eq!(user.rt(&["state", &id]).ok().json()["status"], json!("paused"));
        user.rt(&["resume", &id]).ok();
        let group = control(pid, "");
        assert!(group.ends_with(&id), "{} is the container's own", group.display());
        user.rt(&["kill", "--all", &id, "KILL"]).ok();
        user.delete(&id);
        assert!(!group.exists(), "{} is left", group.display());
    }

    fn an_exec_from_outside_of_the_delegated_part_is_told_why(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("an error: the process stays outside of the container's group") {
            return;
        }
        let bundle = limited(&user);
        let id = format!("st-{}", std::process::id());
        user.rt_delegated(&["run", "--detach", "--bundle", &bundle, &id]).ok();
        let pid = user.pid(&id);
        let group = control(pid, "");
        let group = group.display().to_string();
        user.rt(&["exec", &id, "true"])
            .run()
            .code(255)
            .says(&format!("the caller may not put a process into cgroup {}", group.trim_end_matches('/')))
            .says("systemd-run --user --scope -p Delegate=yes");
        user.delete(&id);
    }

    fn limits_without_a_delegated_group_are_refused(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = limited(&user);
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).run().code(1);
        if !lab.is_reference() {
            output
                .says("config.json/linux/resources/memory/limit needs a cgroup, and this user may not make /sys/fs/cgroup/")
                .says("systemd-run --user --scope -p Delegate=yes");
        }
    }

    fn a_group_of_somebody_else_is_refused(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = user.bundle("b", |config| {
            config["process"]["args"] = json!(["true"]);
            config["linux"]["cgroupsPath"] = json!("/sluice-test-not-yours");
        });
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).run().code(1);
        if !lab.is_reference() {
            output.says("config.json/linux/cgroupsPath \"/sluice-test-not-yours\" needs a cgroup");
        }
    }

    fn what_needs_a_cgroup_says_that_there_is_none(lab) {
        let Some(user) = User::of(lab) else { return };
        user.sleeper("c");
        let pause = user.rt(&["pause", "c"]).run().code(1);
        let update = user.rt(&["update", "--pids-limit", "10", "c"]).run();
        if !lab.is_reference() {
            pause.says("cannot pause container c: it has no cgroup of its own");
            update.code(1).says("cannot update container c: it has no cgroup of its own");
            let events = user.rt(&["events", "--stats", "c"]).run().code(1);
            events.says("cannot measure container c: it has no cgroup of its own");
        }
        user.delete("c");
    }
}
