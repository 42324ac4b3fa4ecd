//! Reports 000 and 001: the exec's helper crashed before `execve`, and nobody was told so.

use serde_json::json;
use testkit::{Config, conformance, hierarchy, require_partner};

conformance! {
    fn a_child_that_crashes_is_reported_with_its_signal(lab) {
        let strace = require_partner!("strace");
        let c = lab.sleeper();
        // setsid is called by the child alone, in both runtimes.
        let strace = strace.display().to_string();
        let injected = lab.program(&strace).args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=setsid",
            "-e",
            "inject=setsid:signal=SIGABRT",
        ]);
        let output = injected
            .args([lab.binary()])
            .args(["--root"])
            .args([lab.root()])
            .args(["exec", c.id(), "true"])
            .run();
        eprintln!("{output}");
        if !lab.is_reference() {
            let output = output.code(255);
            assert!(output.stderr.contains("SIGABRT") || output.stderr.contains("signal 6"), "{output}");
        }
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()], "nothing left behind");
        c.exec(&["true"]).ok();
    }

    fn a_filter_that_kills_at_execve_is_no_exit_status_of_the_program(lab) {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execve", "execveat"], "action": "SCMP_ACT_KILL_PROCESS"}]});
        let c = lab.created(&Config::new().set("/linux/seccomp", profile));
        let output = c.exec(&["true"]);
        if lab.is_reference() {
            assert_eq!(output.code(159).stderr, "", "it looks as if the program had died by SIGSYS");
        } else {
            output.code(255).says("seccomp").says("execve");
        }
    }
}
