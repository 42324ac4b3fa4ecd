//! Hooks that run when the runtime is killed: `delete --force` ends them, with whatever they started in their group.

use serde_json::json;
use testkit::{Cmd, Config, Container, Lab, hang};

use crate::{leftovers, ours};

/// A hook of this kind that says that it runs and never ends, and a child of it.
fn endless(lab: &Lab, kind: &str, mark: &str) -> Config {
    let script = format!("sleep 1000000 & touch {mark}; sleep 1000000");
    let hook =
        json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": [lab.mark(), "PATH=/bin:/usr/bin"]});
    Config::new().push(&format!("/hooks/{kind}"), hook)
}

/// Kills the command while the hook runs, then deletes.
fn assert_ended(lab: &Lab, container: &Container<'_>, command: Cmd, mark: &std::path::Path, kind: &str) {
    let running = command.spawn();
    hang::eventually(&format!("the hook {kind}"), || mark.exists() || running.has_ended());
    assert!(mark.exists(), "{kind}: {}", running.stderr());
    running.signal(rustix::process::Signal::KILL);
    let _killed = running.wait();
    let deleted = container.delete_force();
    assert!(deleted.status.success(), "{kind}: {deleted}");
    leftovers::assert_none(lab, &container.group(), kind);
}

#[test]
fn a_hook_of_a_killed_create_is_ended() {
    ours(|lab| {
        for kind in ["prestart", "createRuntime", "createContainer"] {
            let mark = lab.path(kind);
            let c = lab.bundle(&endless(lab, kind, mark.to_str().unwrap()));
            assert_ended(lab, &c, c.create_with(&[]), &mark, kind);
        }
    });
}

#[test]
fn a_hook_of_a_killed_start_is_ended() {
    ours(|lab| {
        let inside = lab.created(&endless(lab, "startContainer", "/mark"));
        assert_ended(lab, &inside, inside.verb("start", &[], &[]), &inside.rootfs("/mark"), "startContainer");
        let mark = lab.path("poststart");
        let outside = lab.created(&endless(lab, "poststart", mark.to_str().unwrap()));
        assert_ended(lab, &outside, outside.verb("start", &[], &[]), &mark, "poststart");
    });
}

#[test]
fn a_hook_of_a_killed_delete_is_ended_by_the_next() {
    ours(|lab| {
        let mark = lab.path("poststop");
        let c = lab.created(&endless(lab, "poststop", mark.to_str().unwrap()));
        assert_ended(lab, &c, c.verb("delete", &["--force"], &[]), &mark, "poststop");
    });
}

/// A forced delete does not wait for a start that waits for its hook.
#[test]
fn a_container_whose_start_waits_for_a_hook_is_deleted() {
    ours(|lab| {
        for kind in ["startContainer", "poststart"] {
            let mark = if kind == "poststart" { lab.path(kind) } else { "/mark".into() };
            let c = lab.created(&endless(lab, kind, mark.to_str().unwrap()));
            let seen = if kind == "poststart" { mark } else { c.rootfs("/mark") };
            let start = c.verb("start", &[], &[]).spawn();
            hang::eventually("the hook", || seen.exists());
            c.verb("state", &[], &[]).ok();
            c.delete_force().ok();
            assert!(!start.wait().status.success(), "{kind}: the start says that it failed");
            leftovers::assert_none(lab, &c.group(), kind);
        }
    });
}

/// While `create` is at work nobody else changes the container; a forced delete ends `create` first.
#[test]
fn a_container_that_is_being_created_is_left_to_create_or_deleted_with_it() {
    ours(|lab| {
        let mark = lab.path("createRuntime");
        let c = lab.bundle(&endless(lab, "createRuntime", mark.to_str().unwrap()));
        let create = c.create_with(&[]).spawn();
        hang::eventually("the hook", || mark.exists());
        assert_eq!(c.status(), "creating");
        c.create().code(1).says("container with given ID already exists");
        c.start().code(1).says("still being created");
        c.exec(&["true"]).code(255).says("still being created");
        c.verb("update", &["--pids-limit", "9"], &[]).run().code(1).says("container not running");
        c.pause().code(1).says("container not running");
        c.delete().code(1).says("that is not stopped: creating");
        c.delete_force().ok();
        assert_eq!(create.wait().status.code(), None, "create was killed");
        leftovers::assert_none(lab, &c.group(), "a deleted create");
    });
}
