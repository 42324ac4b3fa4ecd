//! Ending everything in the group: `cgroup.kill`, and what is done without it.

use std::fs;

use testkit::{Config, hang, hierarchy, process};

use crate::group::directory;
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
        assert!(!directory(&c).exists());
    }
}

ours! {
    fn it_is_one_write_to_cgroup_kill(lab) {
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
}
