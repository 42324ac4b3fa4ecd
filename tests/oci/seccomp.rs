//! Seccomp: actions, arguments and the notify listener, seen from inside; verdicts are tested in the crate itself.

use std::os::fd::AsRawFd;

use serde_json::{Value, json};
use testkit::fd_socket::FdSocket;
use testkit::{Config, conformance, process};

conformance! {
    fn an_errno_is_returned(lab) {
        for (errno, text) in
            [(1, "operation not permitted"), (38, "function not implemented"), (13, "permission denied")]
        {
            let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno});
            lab.run_once(&with_rule(rule).args(&["mkdir", "/x"])).code(1).says(text);
        }
    }

    fn the_default_errno_is_eperm(lab) {
        let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"});
        lab.run_once(&with_rule(rule).args(&["mkdir", "/x"])).code(1).says("operation not permitted");
    }

    fn kill_ends_the_process_by_sigsys(lab) {
        for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS"] {
            let rule = json!({"names": ["mkdir", "mkdirat"], "action": action});
            let config = with_rule(rule);
            lab.run_once(&config.clone().script("mkdir /x; echo status $?")).ok().prints("status 159");
            lab.run_once(&config.args(&["mkdir", "/x"])).code(159);
        }
    }

    fn exec_is_under_the_same_filter(lab) {
        let c = lab.started(&with_rule(
            json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
        ));
        c.exec(&["mkdir", "/x"]).code(1).says("function not implemented");
        assert_eq!(c.shell("grep '^Seccomp:' /proc/self/status | tr -d '\\t'"), "Seccomp:2");
    }

    fn log_lets_pass(lab) {
        lab.run_once(
            &with_rule(json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"}))
                .args(&["mkdir", "/x"]),
        )
        .ok();
    }

    fn arguments_decide(lab) {
        let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13,
            "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]});
        let config = with_rule(rule);
        lab.run_once(&config.clone().script("kill -0 $$")).ok();
        lab.run_once(&config.script("trap '' USR1; kill -USR1 $$")).code(1).says("permission denied");
    }

    fn an_allow_list_runs_a_program(lab) {
        let c = lab.bundle(
            &Config::new().set("/linux/seccomp", allow_list()).script("echo hello; mkdir /x; exit 4"),
        );
        c.run().code(4).says("operation not permitted").prints("hello");
    }

    fn numbers_newer_than_the_profile_answer_enosys(lab) {
        let program = testkit::compile::compile(&lab.path("io"), "newest", NEWEST);
        let c = lab.bundle(&Config::new().set("/linux/seccomp", allow_list()).args(&["/bin/newest"]));
        std::fs::copy(program, c.rootfs("/bin/newest")).unwrap();
        c.run().ok().prints("1023: Function not implemented");
    }

    fn unknown_names_are_skipped(lab) {
        let rule = json!({"names": ["no_such_call", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"});
        lab.run_once(&with_rule(rule).args(&["mkdir", "/x"])).code(1).says("operation not permitted");
    }

    fn an_unknown_action_is_refused(lab) {
        let c = lab.bundle(&with_rule(json!({"names": ["mkdir"], "action": "SCMP_ACT_WEATHER"})));
        c.create().code(1).says("SCMP_ACT_WEATHER");
    }

    fn with_no_new_privs_a_user_is_filtered_too(lab) {
        let config =
            with_rule(json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}))
                .set("/process/noNewPrivileges", json!(true))
                .set("/process/user", json!({"uid": 1000, "gid": 1000}));
        lab.run_once(&config.args(&["mkdir", "/tmp/x"])).code(1).says("function not implemented");
    }

    fn without_capabilities_the_filter_is_loaded_before_they_go(lab) {
        let config =
            with_rule(json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}));
        let config = config.capabilities(&[]).set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let c = lab.started(&config.args(&["sleep", "1000000"]));
        c.exec(&["mkdir", "/tmp/x"]).code(1).says("function not implemented");
    }

    fn the_listener_gets_the_notify_descriptor_and_the_state(lab) {
        let socket = FdSocket::bind(&lab.path("listener"));
        let config = with_rule(json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}))
            .set("/linux/seccomp/listenerPath", json!(socket.path()))
            .set("/linux/seccomp/listenerMetadata", json!("meta"));
        let c = lab.bundle(&config);
        let creating = c.create_with(&[]).spawn();
        let received = socket.receive();
        creating.wait().ok();
        let state: Value = serde_json::from_str(&received.name).unwrap();
        assert_eq!(state["metadata"], "meta");
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["pid"], c.pid());
        assert_eq!(state["state"]["id"], json!(c.id()));
        let link = std::fs::read_link(format!("/proc/self/fd/{}", received.fd.as_raw_fd())).unwrap();
        assert_eq!(link.to_str().unwrap(), "anon_inode:seccomp notify");
    }

    fn a_missing_listener_is_an_error(lab) {
        let config = with_rule(json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}));
        let c = lab.bundle(&config.set("/linux/seccomp/listenerPath", json!("/no/such/listener")));
        c.create().code(1).says("/no/such/listener");
    }

    fn the_filter_shows_in_the_status(lab) {
        let status = lab
            .run_once(
                &with_rule(json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}))
                    .args(&["cat", "/proc/self/status"]),
            )
            .ok()
            .stdout;
        assert_eq!(process::status_value(&status, "Seccomp"), "2");
        assert_eq!(process::status_value(&status, "Seccomp_filters"), "1");
    }
}

fn with_rule(rule: Value) -> Config {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]});
    let config =
        if cfg!(target_arch = "x86_64") { profile } else { json!({"defaultAction": "SCMP_ACT_ALLOW"}) };
    Config::new().set("/linux/seccomp", config).push("/linux/seccomp/syscalls", rule)
}

/// What busybox needs.
const ALLOWED: &str = "\
    access arch_prctl brk capget capset chdir clone close dup dup2 execve execveat exit exit_group \
    fchdir fcntl fstat fstatfs futex getcwd getdents64 getegid geteuid getgid getpgrp getpid getppid \
    getrandom getuid ioctl lseek mmap mprotect munmap newfstatat open openat pipe pipe2 poll prctl \
    prlimit64 read readlink readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn \
    sched_getaffinity sched_yield set_robust_list set_tid_address setgid setgroups setresgid \
    setresuid setsid setuid sigaltstack stat statx tgkill umask uname vfork wait4 write writev \
    epoll_pwait epoll_ctl nanosleep clock_gettime gettid getpgid faccessat2 close_range kill";

/// An allow-list with what busybox needs.
fn allow_list() -> Value {
    let names: Vec<&str> = ALLOWED.split_whitespace().collect();
    json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
}

const NEWEST: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    syscall(1023);
    printf("1023: %s\n", strerror(errno));
    return 0;
}
"#;
