//! Filters that forbid `execve`, kill for it, or are none.

use serde_json::{Value, json};
use testkit::{Config, Container};

use crate::refusal::{exec, refused, text, verb};
use crate::truth;

fn filter(action: &str) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["execve", "execveat"], "action": action}],
    })
}

/// A created container whose filter meets every `execve`, with `no_new_privs` or without.
fn created<'lab>(lab: &'lab testkit::Lab, action: &str, no_new_privs: bool) -> Container<'lab> {
    let config = Config::new().set("/linux/seccomp", filter(action));
    lab.created(&config.set("/process/noNewPrivileges", json!(no_new_privs)))
}

truth! {
    fn a_filter_that_forbids_execve_is_told(lab) {
        for no_new_privs in [false, true] {
            let c = created(lab, "SCMP_ACT_ERRNO", no_new_privs);
            let text = |program| {
                format!("exec: \"{program}\": the seccomp profile forbids execve (operation not permitted (EPERM))")
            };
            refused(lab, &c, &[], &["true"], &text("true"));
            let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
            assert_eq!(crate::refusal::text(&output), text("sleep"));
            c.wait_status("stopped");
        }
    }

    fn a_filter_that_kills_on_execve_is_told(lab) {
        for no_new_privs in [false, true] {
            let c = created(lab, "SCMP_ACT_KILL_PROCESS", no_new_privs);
            let killed = "killed by its own seccomp profile (SIGSYS) in the step to execve";
            refused(lab, &c, &[], &["true"], &format!("exec: {killed}"));
            let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
            let text = text(&output);
            assert!(text.starts_with("container init ended while it had to execute its program: exec: "), "{text}");
            assert!(text.contains("seccomp profile (SIGSYS)"), "{text}");
            c.wait_status("stopped");
        }
    }

    fn a_filter_that_the_kernel_refuses_is_told(lab) {
        let c = lab.started(&Config::new().set("/linux/seccomp", filter("SCMP_ACT_KILL_PROCESS")).remove("/linux/seccomp/syscalls"));
        let file = lab.root().join(c.id()).join("seccomp.bpf");
        std::fs::write(file, [0xff; 16]).unwrap();
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let expected = "exec: the kernel refused the seccomp filter of config.json/linux/seccomp (the kernel does not accept it (EINVAL))";
        assert_eq!(text(&output), expected);
    }
}
