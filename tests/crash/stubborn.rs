//! Containers that do not go easily: a main thread that is gone, frozen and stopped processes, nested groups, a sleep
//! that no signal ends.

use std::fs;

use testkit::freezer::Freezer;
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
        Freezer::of(&format!("{}/inner", c.group())).ask();
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a nested frozen group");
    });
}

/// A file system that takes every request and answers none but the first: who asks sleeps so that no signal ends it.
const SILENT: &str = r#"
    #include <fcntl.h>
    #include <linux/fuse.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/mount.h>
    #include <sys/stat.h>
    #include <unistd.h>
    static char buffer[1 << 20];
    int main(int argc, char **argv) {
        char options[200];
        int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
        if (fuse < 0 || mount("silent", argv[1], "fuse", 0, options)) { perror("fuse"); return 1; }
        struct { struct fuse_out_header head; struct fuse_init_out init; } answer;
        memset(&answer, 0, sizeof answer);
        if (read(fuse, buffer, sizeof buffer) < 0) return 2;
        answer.head.len = sizeof answer;
        answer.head.unique = ((struct fuse_in_header *)buffer)->unique;
        answer.init.major = FUSE_KERNEL_VERSION;
        answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
        answer.init.max_write = 4096;
        if (write(fuse, &answer, sizeof answer) < 0) return 3;
        puts("serving"); fflush(stdout);
        while (read(fuse, buffer, sizeof buffer) > 0) { puts("asked"); fflush(stdout); }
        return 0;
    }"#;

#[test]
fn a_process_that_cannot_die_is_named_in_bounded_time_and_can_be_deleted_later() {
    ours(|lab| {
        if !std::path::Path::new("/dev/fuse").exists() {
            return testkit::partner::skip("no /dev/fuse");
        }
        let point = lab.path("silent");
        fs::create_dir(&point).unwrap();
        let program = compile::compile(&lab.path("io"), "silent", SILENT);
        let server = lab.program(program).args([&point]).spawn();
        server.wait_stdout("serving");
        let c = lab.started(&Config::new().without_namespace("pid"));
        let asking = lab.program("/bin/cat").args([point.join("file")]).spawn();
        server.wait_stdout("asked");
        for controller in ["freezer", "pids"] {
            fs::write(c.control(controller, "cgroup.procs"), asking.pid().to_string()).unwrap();
        }
        let refused = c.delete_force().code(1);
        refused.says("is not removed whole").says(&asking.pid().to_string());
        assert_eq!(c.status(), "stopped");
        server.signal(rustix::process::Signal::KILL);
        asking.wait();
        c.delete_force().ok();
        rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH).unwrap();
        drop(server);
        leftovers::assert_none(lab, &c.group(), "a process that could not die");
    });
}
