//! Controllers on the way from the root to the container's group.

use std::fs;

use serde_json::json;
use testkit::{Config, hang, hierarchy};

use crate::group::{above, create_refused, limited, read, value, write};
use crate::{both, ours};

both! {
    fn controllers_missing_on_the_way_are_enabled(lab) {
        fs::create_dir_all(above(lab).join("a/b")).unwrap();
        for level in [above(lab), above(lab).join("a")] {
            assert_eq!(read(&level.join("cgroup.subtree_control")), "");
        }
        let path = json!(format!("{}/a/b/c", lab.group()));
        let c = lab.created(&limited(&json!({"pids": {"limit": 9}})).set("/linux/cgroupsPath", path));
        assert_eq!(read(&above(lab).join("a/b/c/pids.max")), "9");
        for level in ["", "a", "a/b"] {
            let enabled = read(&above(lab).join(level).join("cgroup.subtree_control"));
            for controller in ["cpu", "cpuset", "io", "memory", "pids"] {
                assert!(enabled.split(' ').any(|name| name == controller), "{controller} in {level}: {enabled}");
            }
        }
        c.delete_force().ok();
        remove(&above(lab).join("a"));
    }
}

ours! {
    fn processes_in_a_group_above_are_the_reason_that_is_told(lab) {
        let level = above(lab).join("a");
        fs::create_dir_all(&level).unwrap();
        let sleeper = lab.program("sleep").args(["1000"]).through_shell(&format!("echo 0 > {}/cgroup.procs", level.display())).spawn();
        hang::eventually("the sleeper to be there", || !hierarchy::pids(lab.group()).is_empty());
        let path = json!(format!("{}/a/c", lab.group()));
        let config = limited(&json!({"pids": {"limit": 9}})).set("/linux/cgroupsPath", path.clone());
        let (_, text) = create_refused(lab, &config);
        let expected = format!(
            "linux/resources/pids/limit: the pids controller is not available ({}/cgroup.subtree_control does not enable it: \
             it has 1 processes of its own, and cgroup v2 limits nested groups only below a group without)",
            level.display()
        );
        assert!(text.contains(&expected), "{text}");
        assert!(!level.join("c").exists());
        // Without a limit nothing is needed from above.
        let c = lab.created(&Config::new().set("/linux/cgroupsPath", path));
        c.start().ok();
        c.exec(&["true"]).ok();
        c.delete_force().ok();
        drop(sleeper);
        remove(&level);
    }

    fn a_limit_on_the_number_of_groups_above_is_told(lab) {
        fs::create_dir_all(above(lab)).unwrap();
        write(&above(lab).join("cgroup.max.descendants"), "0");
        let (group, text) = create_refused(lab, &Config::new());
        let expected = format!(
            "make cgroup {} (cgroup.max.descendants of {} is 0)",
            group.display(),
            above(lab).display()
        );
        assert!(text.contains(&expected), "{text}");
        write(&above(lab).join("cgroup.max.descendants"), "max");
        write(&above(lab).join("cgroup.max.depth"), "0");
        let (_, text) = create_refused(lab, &Config::new());
        assert!(text.contains(&format!("(cgroup.max.depth of {} is 0)", above(lab).display())), "{text}");
        write(&above(lab).join("cgroup.max.depth"), "max");
    }

    fn a_limit_above_holds_whatever_the_containers_own_says(lab) {
        let c = lab.started(&limited(&json!({"pids": {"limit": 100}})));
        write(&above(lab).join("pids.max"), "2");
        assert_eq!(value(&c, "pids.max"), "100");
        c.exec(&["sh", "-c", "sleep 0 & wait"]).code(2).says("can't fork");
        write(&above(lab).join("pids.max"), "max");
    }
}

/// Removes a group and those nested in it as soon as they are empty.
fn remove(group: &std::path::Path) {
    hang::eventually("the group to be removed", || {
        let groups = hierarchy::subtree(group);
        groups.iter().rev().for_each(|group| drop(fs::remove_dir(group)));
        !group.exists()
    });
}
