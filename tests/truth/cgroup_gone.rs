//! A container whose control groups were taken away from under it.

use std::fs;

use testkit::hierarchy;

use crate::refusal::{exec, text, verb, write};
use crate::truth;

truth! {
    fn a_removed_cgroup_is_named(lab) {
        let c = lab.sleeper();
        let init = c.pid();
        for hierarchy in hierarchy::all() {
            // Not to the level above: on v2 it hands controllers down and takes no process.
            write(&hierarchy.mount_point.join("cgroup.procs"), &init.to_string());
            fs::remove_dir(hierarchy.directory(&c.group())).unwrap();
        }
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let text = text(&output);
        assert!(text.starts_with("exec: the container's cgroup is gone (/sys/fs/cgroup/"), "{text}");
        assert!(text.ends_with(&format!("{}): it is being deleted", c.group())), "{text}");
        assert_eq!(c.status(), "running");
        let held = testkit::process::pidfd(init).unwrap();
        verb(lab, "delete", &["--force"]).args([c.id()]).ok();
        testkit::process::wait_exit(&held, "init");
    }

    fn a_removed_cgroup_of_one_hierarchy_is_named(lab) {
        if !hierarchy::is_v1("freezer") {
            testkit::partner::not_run("cgroup v2 is one hierarchy, of which no part can be missing");
            return;
        }
        let c = lab.sleeper();
        let directory = hierarchy::directory("freezer", &c.group());
        write(&directory.parent().unwrap().join("cgroup.procs"), &c.pid().to_string());
        fs::remove_dir(&directory).unwrap();
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let expected = format!("exec: the container's cgroup is gone ({}): it is being deleted", directory.display());
        assert_eq!(text(&output), expected);
    }

    fn a_cpuset_without_processors_is_named(lab) {
        if !hierarchy::is_v1("cpuset") {
            testkit::partner::not_run("an empty cpuset of cgroup v2 has the processors of the level above");
            return;
        }
        let c = lab.sleeper();
        let directory = hierarchy::directory("cpuset", &c.group());
        let empty = directory.join("empty");
        for known in hierarchy::existing(&c.group()) {
            fs::create_dir(known.join("empty")).unwrap();
        }
        let output = exec(lab, &c, &["--cgroup", "empty"], &["true"]).run().code(255);
        let expected = format!("exec: the cpuset of the container has no cpus or mems ({})", empty.display());
        assert_eq!(text(&output), expected);
    }
}
