//! A pid is never taken for an identity: reused pids, another boot, and a binary replaced under running containers.

use std::fs;

use serde_json::json;
use testkit::{Config, Container, Lab, Runtime, hang, process};

use crate::damaged_state::edit;
use crate::ours;

/// Makes the container's record name another live process, as if init had died and its pid been used again.
fn pretend_reuse(lab: &Lab, container: &Container<'_>, pid: i32) {
    edit(&lab.root().join(container.id()).join("state.json"), |state| state["init"]["pid"] = json!(pid));
}

#[test]
fn a_reused_pid_is_a_stopped_container_and_the_new_process_is_left_alone() {
    ours(|lab| {
        let c = lab.sleeper();
        // Kernel: start times count clock ticks of 10 ms. A pid comes round once all others were used, so never within one.
        let started = |pid| process::stat(pid).unwrap().start_time;
        let stranger = hang::eventually_some("a process of a later tick", || {
            let stranger = lab.program("/bin/sleep").args(["1000000"]).spawn();
            (started(stranger.pid()) != started(c.pid())).then_some(stranger)
        });
        let init = process::pidfd(c.pid()).unwrap();
        rustix::process::pidfd_send_signal(&init, rustix::process::Signal::KILL).unwrap();
        process::wait_exit(&init, "init");
        pretend_reuse(lab, &c, stranger.pid());
        assert_eq!(c.status(), "stopped");
        assert_eq!(c.pid(), 0);
        c.kill("KILL").code(1).says("container not running");
        c.exec(&["true"]).code(255).says("stopped container");
        c.pause().code(1).says("container not running");
        c.delete().ok();
        assert!(!stranger.has_ended(), "the stranger lives");
    });
}

#[test]
fn a_reused_pid_of_a_hook_is_left_alone() {
    ours(|lab| {
        let c = lab.sleeper();
        let stranger = lab.program("/bin/sleep").args(["1000000"]).spawn();
        edit(&lab.root().join(c.id()).join("state.json"), |state| {
            state["hook"] = json!({"leader": {"pid": stranger.pid(), "startTime": 1}, "name": "poststart/0"});
            state["creator"] = json!({"pid": stranger.pid(), "startTime": 1});
            state["phase"] = json!("creating");
        });
        c.delete_force().ok();
        assert!(!stranger.has_ended(), "the stranger lives");
    });
}

#[test]
fn after_another_boot_everything_is_stopped() {
    ours(|lab| {
        let c = lab.sleeper();
        let pid = c.pid();
        let path = lab.root().join(c.id()).join("state.json");
        let whole = fs::read(&path).unwrap();
        edit(&path, |state| state["bootId"] = json!("00000000-0000-0000-0000-000000000000"));
        assert_eq!(c.status(), "stopped");
        c.kill("KILL").code(1).says("container not running");
        assert!(process::is_alive(pid));
        fs::write(&path, whole).unwrap();
        assert_eq!(c.status(), "running");
    });
}

#[test]
fn a_binary_replaced_under_a_running_container_goes_on_with_it() {
    let Some(built) = Runtime::Sluice.find() else { return };
    ours(|outer| {
        let copy = outer.path("sluice");
        fs::copy(&built, &copy).unwrap();
        let lab = Lab::new(Runtime::Sluice, copy.clone());
        let c = lab.created(&Config::new());
        let running = lab.sleeper();
        // As a package manager does it: another file takes the name.
        let next = outer.path("sluice.next");
        fs::copy(&built, &next).unwrap();
        fs::rename(&next, &copy).unwrap();
        c.start().ok();
        c.exec(&["true"]).ok();
        running.verb("update", &["--pids-limit", "50"], &[]).ok();
        running.exec(&["true"]).ok();
        running.pause().ok();
        running.resume().ok();
        c.stop();
        c.delete().ok();
        running.delete_force().ok();
        lab.assert_nothing_left();
    });
}

/// The second container took the group over when it was empty.
#[test]
fn deleting_a_stopped_container_leaves_another_in_its_group_alone() {
    ours(|lab| {
        let shared = json!(format!("{}/shared", lab.group()));
        let config = Config::new().set("/linux/cgroupsPath", shared);
        let stopped = lab.started(&config);
        stopped.stop();
        let other = lab.started(&config);
        stopped.delete_force().code(1).says("is not removed whole").says(&other.pid().to_string());
        assert_eq!(other.status(), "running");
        other.delete_force().ok();
        stopped.delete().ok();
    });
}
