//! Groups below the container's own: a manager inside that has taken the tree over.

use std::fs;

use testkit::{Config, Container, hang, hierarchy, process};

use crate::group::{directory, exec_refused, value, write};
use crate::{both, ours};

/// What a manager such as systemd does in its container: it moves out of the way and hands controllers down.
const MANAGER: &str = "mkdir /sys/fs/cgroup/init.scope && echo 1 > /sys/fs/cgroup/init.scope/cgroup.procs && \
                       echo '+pids +memory' > /sys/fs/cgroup/cgroup.subtree_control && \
                       mkdir /sys/fs/cgroup/work.slice && exec sleep 1000000";

fn managed() -> Config {
    Config::new().namespace("cgroup", None).script(MANAGER).mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "rw"],
    )
}

fn wait_for_manager(c: &Container<'_>) {
    hang::eventually("the manager to have set its tree up", || {
        directory(c).join("work.slice/memory.max").exists()
    });
    let init = c.pid();
    hang::eventually("the manager to be alone", || process::status_line(init, "Name") == "sleep");
}

both! {
    fn an_exec_beside_a_manager_falls_back_to_the_leaf_of_init(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        assert_eq!(value(&c, "cgroup.subtree_control"), "memory pids");
        // Inside the namespace's root is the container's group.
        assert_eq!(c.shell("cat /proc/self/cgroup"), "0::/init.scope");
    }

    fn pause_update_and_delete_reach_the_whole_tree(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        c.pause().ok();
        assert!(fs::read_to_string(directory(&c).join("init.scope/cgroup.events")).unwrap().contains("frozen 1"));
        c.resume().ok();
        c.verb("update", &["--pids-limit", "40"], &[]).ok();
        assert_eq!(value(&c, "pids.max"), "40");
        c.delete_force().ok();
        assert!(!directory(&c).exists());
    }

    fn ps_lists_the_processes_of_the_whole_tree(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        assert_eq!(c.verb("ps", &["--format", "json"], &[]).ok().json(), serde_json::json!([c.pid()]));
    }
}

ours! {
    fn an_exec_into_a_group_of_the_managers_goes_there(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        let output = c.exec_with(&["--cgroup", "work.slice"], &["cat", "/proc/self/cgroup"]).ok();
        output.prints("0::/work.slice");
    }

    fn an_init_that_was_moved_out_leaves_no_leaf_to_fall_back_to(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        let elsewhere = directory(&c).parent().unwrap().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        write(&elsewhere.join("cgroup.procs"), &c.pid().to_string());
        let expected = format!("exec: cgroup {} has child cgroups with controllers and takes no process", directory(&c).display());
        exec_refused(lab, &c, &expected);
        write(&directory(&c).join("init.scope/cgroup.procs"), &c.pid().to_string());
        c.exec(&["true"]).ok();
        fs::remove_dir(&elsewhere).unwrap();
    }

    fn limits_of_the_leaf_are_told_too(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        let file = directory(&c).join("init.scope/pids.max");
        write(&file, "1");
        let expected = format!("exec: the container is at its process limit: pids.current=1 pids.max=1 ({})", file.display());
        exec_refused(lab, &c, &expected);
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
    }

    fn a_leaf_that_is_frozen_by_the_manager_is_named(lab) {
        let c = lab.started(&managed());
        wait_for_manager(&c);
        write(&directory(&c).join("init.scope/cgroup.freeze"), "1");
        let expected = format!("exec: the container is paused ({}/init.scope is frozen); resume it first", directory(&c).display());
        exec_refused(lab, &c, &expected);
        write(&directory(&c).join("init.scope/cgroup.freeze"), "0");
        c.exec(&["true"]).ok();
    }
}
