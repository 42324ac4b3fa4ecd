//! A process starts in its group: `CLONE_INTO_CGROUP`, no write by an exec.

use std::fs;

use testkit::hang;

use crate::ours;

ours! {
    fn an_exec_is_born_in_the_group_and_writes_to_no_control_file(lab) {
        let c = lab.sleeper();
        let trace = lab.path("trace");
        let strace = format!(
            "exec strace -f -qq -y -o '{}' -e trace=open,openat,openat2,creat,write,pwrite64,writev,clone3 \"$@\"",
            trace.display()
        );
        c.exec_with(&[], &["cat", "/proc/self/cgroup"]).through_shell(&strace).ok().prints(&format!("0::{}", c.group()));
        let calls = fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("CLONE_INTO_CGROUP"), "{calls}");
        let is_cgroup = |line: &&str| line.contains("/sys/fs/cgroup");
        let writes = |line: &&str| line.contains("write") || line.contains("O_WRONLY") || line.contains("O_RDWR");
        let found: Vec<&str> = calls.lines().filter(is_cgroup).filter(writes).collect();
        assert_eq!(found, Vec::<&str>::new());
        assert!(calls.lines().any(|line| is_cgroup(&line)), "the trace shows paths: {calls}");
    }

    fn init_is_born_in_the_group(lab) {
        let c = lab.bundle(&testkit::Config::new());
        let trace = lab.path("trace");
        let strace = format!("exec strace -f -qq -y -o '{}' -e trace=clone3,write \"$@\"", trace.display());
        // strace follows init to its end.
        let traced = c.create_with(&[]).through_shell(&strace).spawn();
        hang::eventually("the container to be created", || lab.run(&["state", c.id()]).stdout.contains("\"status\": \"created\""));
        c.delete_force().ok();
        traced.wait();
        let calls = fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("CLONE_INTO_CGROUP"), "{calls}");
        assert!(!calls.contains("cgroup.procs"), "{calls}");
    }

    fn without_clone3_the_exec_is_refused_by_that_name(lab) {
        let c = lab.sleeper();
        let trace = lab.path("trace");
        let strace = format!("exec strace -f -qq -o '{}' -e trace=clone3 -e inject=clone3:error=ENOSYS \"$@\"", trace.display());
        let output = c.exec_with(&[], &["true"]).through_shell(&strace).run().code(255);
        output.says("clone3: this kernel or a filter around us does not have the call (ENOSYS)");
        assert!(fs::read_to_string(&trace).unwrap().contains("INJECTED"));
        c.exec(&["true"]).ok();
    }
}
