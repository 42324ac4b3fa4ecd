//! Ending everything in the group: `cgroup.kill`, and what is done without it.

use std::fs;

use testkit::{Config, hang, hierarchy, process};

use crate::group::{directory, exec, text, write};
use crate::{both, ours};

/// A container without a pid namespace, whose processes do not end with init.
fn shared_pids() -> Config {
    Config::new()
        .without_namespace("pid")
        .script("trap '' TERM; sleep 1000000 & sleep 1000000 & setsid sleep 1000000 & exec sleep 1000000")
}

both! {
    fn delete_force_ends_every_process_of_the_group(lab) {
        let c = lab.started(&shared_pids());
        hang::eventually("four processes", || hierarchy::pids(&c.group()).len() == 4);
        let held: Vec<_> = hierarchy::pids(&c.group()).into_iter().filter_map(process::pidfd).collect();
        c.delete_force().ok();
        held.iter().for_each(|pidfd| process::wait_exit(pidfd, "a process of the container"));
        // The reference does not wait until the last process has left the group, and then leaves the group.
        assert!(lab.reference_lacks("a delete that takes the group away in every case") || !directory(&c).exists());
    }

    fn groups_nested_in_it_end_too(lab) {
        let c = lab.started(&shared_pids());
        hang::eventually("four processes", || hierarchy::pids(&c.group()).len() == 4);
        let inner = directory(&c).join("inner/most");
        fs::create_dir_all(&inner).unwrap();
        let moved = hierarchy::pids(&c.group()).into_iter().rfind(|pid| *pid != c.pid()).unwrap();
        write(&inner.join("cgroup.procs"), &moved.to_string());
        let held = process::pidfd(moved).unwrap();
        c.delete_force().ok();
        process::wait_exit(&held, "a process of a nested group");
        if lab.reference_lacks("the removal of nested groups in the same command") {
            return;
        }
        assert!(!directory(&c).exists());
    }
}

ours! {
    fn it_is_one_write_to_cgroup_kill(lab) {
        if !testkit::partner::has_linux((5, 14), "cgroup.kill") {
            return;
        }
        let c = lab.started(&shared_pids());
        hang::eventually("four processes", || hierarchy::pids(&c.group()).len() == 4);
        let trace = lab.path("trace");
        let strace = format!("exec strace -f -qq -y -o '{}' -e trace=write \"$@\"", trace.display());
        c.verb("delete", &["--force"], &[]).through_shell(&strace).ok();
        let calls = fs::read_to_string(&trace).unwrap();
        assert!(calls.contains(&format!("<{}/cgroup.kill>, \"1\"", directory(&c).display())), "{calls}");
    }

    fn without_cgroup_kill_each_process_is_signalled(lab) {
        let c = lab.started(&shared_pids());
        hang::eventually("four processes", || hierarchy::pids(&c.group()).len() == 4);
        let held: Vec<_> = hierarchy::pids(&c.group()).into_iter().filter_map(process::pidfd).collect();
        let trace = lab.path("trace");
        let strace = format!(
            "exec strace -f -qq -o '{}' -P '{}/cgroup.kill' -e trace=openat -e inject=openat:error=ENOENT \"$@\"",
            trace.display(),
            directory(&c).display()
        );
        c.verb("delete", &["--force"], &[]).through_shell(&strace).ok();
        assert!(fs::read_to_string(&trace).unwrap().contains("INJECTED"), "it was asked for");
        held.iter().for_each(|pidfd| process::wait_exit(pidfd, "a process of the container"));
        assert!(!directory(&c).exists());
    }

    fn an_exec_that_is_killed_with_its_container_says_so(lab) {
        if !testkit::partner::has_linux((5, 14), "cgroup.kill") {
            return;
        }
        let c = lab.sleeper();
        let trace = lab.path("trace");
        let hold = format!(
            "exec strace -f -qq -o '{}' -e trace=execve -e inject=execve:delay_enter=6000000:when=2 \"$@\"",
            trace.display()
        );
        let running = exec(lab, &c, &["true"]).through_shell(&hold).spawn();
        hang::eventually("the child to be in the group", || {
            hierarchy::pids(&c.group()).len() > 1 || running.has_ended()
        });
        write(&directory(&c).join("cgroup.kill"), "1");
        let text = text(&running.wait().code(255));
        assert!(text.starts_with("exec: the container stopped while the exec was in the step to "), "{text}");
        c.wait_status("stopped");
    }
}
