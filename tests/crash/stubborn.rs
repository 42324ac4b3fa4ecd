//! Containers that do not go easily: a main thread that is gone, frozen and stopped processes, nested groups, a sleep
//! that no signal ends.

use std::fs;

use testkit::{Config, compile, conformance, hang, hierarchy, process};

use crate::{leftovers, ours};

/// Ends its main thread and lives on in another.
const HEADLESS: &str = r"
    #include <pthread.h>
    #include <unistd.h>
    static void *live(void *none) { for (;;) pause(); return none; }
    int main(void) {
        pthread_t thread;
        pthread_create(&thread, 0, live, 0);
        pthread_exit(0);
    }";

/// A parent in vfork(2): it waits for its child in a sleep that only SIGKILL ends.
const VFORKED: &str = r"
    #include <unistd.h>
    int main(void) {
        if (vfork() == 0) { for (;;) pause(); }
        return 0;
    }";

conformance! {
    fn a_container_without_its_main_thread_lives_and_is_deleted_whole(lab) {
        let c = lab.bundle(&Config::new().args(&["/headless"]));
        compile::compile(&c.rootfs("/"), "headless", HEADLESS);
        c.create().ok();
        let pid = c.pid();
        c.start().ok();
        hang::eventually("the end of the main thread", || process::stat(pid).is_some_and(|stat| stat.state == 'Z'));
        if lab.reference_lacks("a look beyond the main thread") {
            assert_eq!(c.status(), "stopped");
            hierarchy::pids(&c.group()).into_iter().for_each(|pid| process::signal(pid, rustix::process::Signal::KILL));
            c.delete_force();
            return;
        }
        assert_eq!(c.status(), "running");
        c.delete().code(1).says("that is not stopped: running");
        c.kill("0").ok();
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a container without its main thread");
    }

    fn stopped_processes_are_killed(lab) {
        let c = lab.started(&Config::new().without_namespace("pid").script("sleep 1000000 & sleep 1000000 & exec sleep 1000000"));
        hang::eventually("three processes", || hierarchy::pids(&c.group()).len() == 3);
        let pids = hierarchy::pids(&c.group());
        pids.iter().for_each(|pid| process::signal(*pid, rustix::process::Signal::STOP));
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "stopped processes");
    }

    fn a_parent_in_vfork_is_killed(lab) {
        let c = lab.bundle(&Config::new().args(&["/vforked"]));
        compile::compile(&c.rootfs("/"), "vforked", VFORKED);
        c.create().ok();
        c.start().ok();
        hang::eventually("the child", || hierarchy::pids(&c.group()).len() == 2);
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a parent in vfork");
    }
}

#[test]
fn a_paused_container_with_processes_in_nested_groups_goes_whole() {
    ours(|lab| {
        let c =
            lab.started(&Config::new().without_namespace("pid").script("sleep 1000000 & exec sleep 1000000"));
        hang::eventually("two processes", || hierarchy::pids(&c.group()).len() == 2);
        let pid = hierarchy::pids(&c.group())[0];
        for controller in ["freezer", "pids"] {
            let inner = c.control(controller, "inner/deeper");
            fs::create_dir_all(&inner).unwrap();
            fs::write(inner.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        c.pause().ok();
        assert_eq!(c.status(), "paused");
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a paused container with nested groups");
    });
}

#[test]
fn a_group_frozen_by_the_container_itself_goes_whole() {
    ours(|lab| {
        let c =
            lab.started(&Config::new().without_namespace("pid").script("sleep 1000000 & exec sleep 1000000"));
        hang::eventually("two processes", || hierarchy::pids(&c.group()).len() == 2);
        let inner = c.control("freezer", "inner");
        fs::create_dir_all(&inner).unwrap();
        let pid = hierarchy::pids(&c.group())[0];
        fs::write(inner.join("cgroup.procs"), pid.to_string()).unwrap();
        fs::write(inner.join("freezer.state"), "FROZEN").unwrap();
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a nested frozen group");
    });
}

/// A reader of a FUSE file system that nobody serves sleeps so that no signal ends it, once its request is taken.
#[test]
fn a_process_that_cannot_die_is_named_in_bounded_time() {
    ours(|lab| {
        let c = lab.sleeper();
        // Out of reach of signals: a tracer that does not let go of an exiting process.
        let hold = format!(
            "exec strace -qq -o {} -e trace=none -e inject=exit_group:delay_enter=1 -p {}",
            lab.path("hold").display(),
            c.pid()
        );
        let tracer = lab.program("/bin/sh").args(["-c", &hold]).spawn();
        drop(tracer);
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a traced container");
    });
}
