//! Users and groups that the container's user namespace does not have.

use serde_json::json;
use testkit::Config;

use crate::refusal::{create_refused, process, refused, refused_process};
use crate::truth;

const FIRST_ID: u32 = 100_000;
const UNMAPPED: &str = "is not mapped in the container's user namespace";

/// A user namespace of a user without rights: root alone is mapped, and `setgroups` is denied.
const UNPRIVILEGED: [&str; 5] = ["--user", "--map-root-user", "--fork", "sleep", "1000000"];

truth! {
    fn ids_that_are_not_mapped_are_named(lab) {
        let config = Config::new().user_namespace(FIRST_ID);
        let c = lab.bundle(&config);
        open_to_others(&c);
        c.create().ok();
        c.start().ok();
        refused(lab, &c, &["--user", "70000"], &["true"], &format!("exec: uid 70000 {UNMAPPED}"));
        refused(lab, &c, &["--user", "0:70000"], &["true"], &format!("exec: gid 70000 {UNMAPPED}"));
        let mut wanted = process(&["true"]);
        wanted["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [5, 70_000]});
        refused_process(lab, &c, &wanted, &format!("exec: additional gid 70000 {UNMAPPED}"));
        c.exec_with(&["--user", "1000:1000"], &["true"]).ok();
    }

    fn create_names_ids_that_are_not_mapped(lab) {
        let config = Config::new().user_namespace(FIRST_ID).set("/process/user", json!({"uid": 70_000, "gid": 0}));
        let c = lab.bundle(&config);
        open_to_others(&c);
        create_refused(lab, &c, &format!("exec: uid 70000 {UNMAPPED}"));
    }

    fn groups_that_may_not_be_set_are_told(lab) {
        let owner = lab.program("unshare").args(UNPRIVILEGED).spawn();
        let mapped = || std::fs::read_to_string(format!("/proc/{}/gid_map", child(owner.pid()))).unwrap_or_default();
        testkit::hang::eventually("the user namespace to be mapped", || mapped().split_whitespace().nth(2) == Some("1"));
        let path = format!("/proc/{}/ns/user", child(owner.pid()));
        let config = Config::new().namespace("user", Some(&path)).set("/mounts/2/options", json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]));
        let c = lab.bundle(&config);
        c.create().ok();
        c.start().ok();
        c.exec(&["true"]).ok();
        let text = format!("exec: additional groups cannot be set: /proc/{}/setgroups is deny", c.pid());
        refused(lab, &c, &["--additional-gids", "0"], &["true"], &text);
    }
}

/// The lab's directories are root's alone; a mapped root must be able to reach the bundle.
fn open_to_others(c: &testkit::Container<'_>) {
    use std::os::unix::fs::PermissionsExt;
    for directory in c.rootfs("").ancestors().take(4) {
        if directory.starts_with("/tmp/st-") || directory == c.rootfs("") {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// The only child of a process, or the process itself while it has none.
fn child(pid: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|child| child.parse().ok()).unwrap_or(pid)
}
