//! What the container sees of the tree: its cgroup namespace and its mount.

use testkit::Config;

use crate::group::{directory, value};
use crate::{both, ours};

fn with_mount(option: &str) -> Config {
    Config::new().namespace("cgroup", None).mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime", option],
    )
}

both! {
    fn a_container_with_a_cgroup_namespace_is_at_the_root_of_it(lab) {
        lab.run_once(&with_mount("ro").args(&["cat", "/proc/self/cgroup"])).ok().prints("0::/");
        let c = lab.started(&with_mount("ro"));
        assert_eq!(c.shell("cat /proc/self/cgroup"), "0::/");
        assert_eq!(c.shell("cat /proc/1/cgroup"), "0::/");
    }

    fn a_container_without_one_sees_its_path(lab) {
        let c = lab.started(&Config::new());
        assert_eq!(c.shell("cat /proc/self/cgroup"), format!("0::{}", c.group()));
    }

    fn a_read_only_mount_shows_the_own_group_and_takes_no_write(lab) {
        let c = lab.started(&with_mount("ro"));
        assert_eq!(c.shell("cat /sys/fs/cgroup/cgroup.procs | head -1"), "1");
        assert_eq!(c.shell("cat /sys/fs/cgroup/pids.max"), value(&c, "pids.max"));
        c.exec(&["sh", "-c", "echo 5 > /sys/fs/cgroup/pids.max"]).code(1).says("read-only");
        c.exec(&["mkdir", "/sys/fs/cgroup/inner"]).code(1).says("read-only");
    }

    fn a_writable_mount_takes_groups_of_the_containers_own(lab) {
        let c = lab.started(&with_mount("rw"));
        c.exec(&["mkdir", "/sys/fs/cgroup/inner"]).ok();
        assert!(directory(&c).join("inner").is_dir());
        c.exec(&["sh", "-c", "echo $$ > /sys/fs/cgroup/inner/cgroup.procs && cat /proc/self/cgroup"]).ok().prints("0::/inner");
        c.delete_force().ok();
    }
}

ours! {
    fn the_limits_of_its_own_group_are_not_the_containers_to_change(lab) {
        if !options_of_the_host().contains("nsdelegate") {
            eprintln!("NOT RUN: the tree is not mounted with nsdelegate, or somebody took it away");
            return;
        }
        let c = lab.started(&with_mount("rw"));
        c.exec(&["sh", "-c", "echo 5 > /sys/fs/cgroup/pids.max"]).code(1).says("not permitted");
        assert_eq!(value(&c, "pids.max"), "max");
    }

    fn a_mount_without_a_namespace_shows_the_whole_tree_and_leaves_its_options(lab) {
        let before = options_of_the_host();
        for option in ["ro", "rw"] {
            let flags = ["nosuid", "noexec", "nodev", option];
            let c = lab.started(&Config::new().mount("/sys/fs/cgroup", "cgroup", "cgroup", &flags));
            c.exec(&["test", "-d", &format!("/sys/fs/cgroup{}", c.group())]).ok();
            let file = format!("/sys/fs/cgroup{}/pids.max", c.group());
            let written = c.exec(&["sh", "-c", &format!("echo 9 > {file}")]);
            assert_eq!(written.status.success(), option == "rw", "{written}");
        }
        // The reference mounts it anew, by which the host loses nsdelegate and memory_recursiveprot.
        assert_eq!(options_of_the_host(), before);
    }
}

/// The options of the host's tree, which all its mounts share.
fn options_of_the_host() -> String {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = text.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    line.rsplit_once(' ').unwrap().1.to_owned()
}
