//! What a process would inherit from the runtime's caller or from the host, and must not.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;
use testkit::{Config, Container};

use crate::refusal::{exec, process, refused_process, text};
use crate::truth;

/// Runs a script in the container under a process file made from `description`.
fn described(lab: &testkit::Lab, c: &Container<'_>, description: &serde_json::Value) -> String {
    let file = lab.write("described.json", &description.to_string());
    c.exec_with(&["--process", file.to_str().unwrap()], &[]).ok().stdout.trim().to_owned()
}

truth! {
    fn an_exec_gets_the_null_device_of_the_container(lab) {
        let c = lab.sleeper();
        let script = "for n in 0 /dev/null; do stat -L -c %d:%i $(case $n in 0) echo /proc/self/fd/0;; *) echo $n;; esac); done";
        let output = c.exec_with(&[], &["sh", "-c", script]).through_shell("exec </dev/null").ok();
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines.first(), lines.last(), "{output}");
        assert_eq!(lines.len(), 2, "{output}");
    }

    fn a_container_without_a_null_device_keeps_what_it_was_given(lab) {
        let c = lab.sleeper();
        c.shell("rm /dev/null; ln -s /dev/zero /dev/null");
        c.exec_with(&[], &["stat", "-L", "-c", "%t:%T", "/proc/self/fd/0"])
            .through_shell("exec </dev/null")
            .ok()
            .prints("1:3");
    }

    fn a_parked_init_holds_nothing_of_the_hosts_proc(lab) {
        let host = fs::metadata("/proc").unwrap().dev();
        for config in [Config::new(), Config::new().user_namespace(100_000)] {
            let c = lab.created(&config);
            let held = fs::read_dir(format!("/proc/{}/fd", c.pid())).unwrap().map(|entry| entry.unwrap().path());
            let of_proc: Vec<_> = held.filter(|path| fs::metadata(path).is_ok_and(|held| held.dev() == host)).collect();
            assert!(of_proc.is_empty(), "{of_proc:?} -> {:?}", of_proc.first().map(fs::read_link));
        }
    }

    fn many_preserved_descriptors_do_not_cost_the_report(lab) {
        let c = lab.sleeper();
        let open = "exec bash -c 'for n in $(seq 3 262); do eval \"exec $n<>/dev/null\"; done; exec \"$@\"' sh \"$@\"";
        let output = exec(lab, &c, &["--preserve-fds", "260"], &["/no/such"]).through_shell(open).run().code(255);
        assert_eq!(text(&output), "exec: \"/no/such\": no such file or directory");
        let count = exec(lab, &c, &["--preserve-fds", "260"], &["sh", "-c", "ls /proc/self/fd | wc -l"]);
        count.through_shell(open).ok().prints("264");
    }

    fn more_descriptors_than_there_are_numbers_are_refused(lab) {
        let c = lab.sleeper();
        let output = exec(lab, &c, &["--preserve-fds", "4294967295"], &["true"])
            .through_shell("export LISTEN_FDS=1 LISTEN_PID=$$")
            .run();
        assert_eq!(output.status.code(), Some(255), "{output}");
    }

    fn limits_smaller_than_what_a_start_needs_are_taken(lab) {
        for (kind, value) in [("RLIMIT_NOFILE", 8), ("RLIMIT_FSIZE", 0), ("RLIMIT_DATA", 1 << 22), ("RLIMIT_AS", 1 << 24)] {
            let limits = json!([{"type": kind, "soft": value, "hard": value}]);
            let c = lab.started(&Config::new().set("/process/rlimits", limits));
            assert_eq!(c.status(), "running", "{kind}");
            exec(lab, &c, &[], &["true"]).ok();
            c.delete_force().ok();
        }
    }

    fn an_exec_has_the_personality_of_the_container(lab) {
        let c = lab.started(&Config::new().set("/linux/personality", json!({"domain": "LINUX32"})));
        c.exec(&["cat", "/proc/self/personality"]).ok().prints("00000008");
    }

    fn a_home_is_looked_up_where_the_mounts_are_made(lab) {
        let passwd = lab.write("passwd", "broken\nx:y:z\nworker:x:0100:1::/no\n:x:7:7::\nseven:x:7:7:,:/seven:/bin/sh\nlast:x:8:8::/last");
        let config = Config::new().mount("/etc/passwd", "bind", passwd.to_str().unwrap(), &["bind", "ro"]);
        for (uid, home) in [(7, "/seven"), (8, "/last"), (9, "/")] {
            let config = config.clone().set("/process/user", json!({"uid": uid, "gid": 0}));
            lab.run_once(&config.script("echo $HOME")).ok().prints(home);
        }
        let c = lab.started(&config);
        c.exec_with(&["--user", "7"], &["sh", "-c", "echo $HOME"]).ok().prints("/seven");
        c.exec_with(&["--user", "7", "--env", "HOME="], &["sh", "-c", "echo $HOME"]).ok().prints("/seven");
    }

    fn a_passwd_that_is_no_file_says_nothing(lab) {
        let c = lab.sleeper();
        for plant in ["mkfifo /etc/passwd", "mkdir /etc/passwd", "ln -s passwd /etc/passwd", "ln -s /dev/zero /etc/passwd"] {
            c.shell(&format!("rm -rf /etc/passwd; {plant}"));
            c.exec(&["sh", "-c", "echo $HOME"]).ok().prints("/");
        }
    }

    fn what_a_process_file_leaves_out_is_the_containers(lab) {
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600}]);
        let c = lab.started(&Config::new().set("/process/rlimits", limits));
        let show = "grep CapEff /proc/self/status; ulimit -n";
        let plain = c.exec(&["sh", "-c", show]).ok().stdout;
        let mut description = process(&["sh", "-c", show]);
        description.as_object_mut().unwrap().remove("capabilities");
        assert_eq!(described(lab, &c, &description), plain.trim());
        description["capabilities"] = json!({});
        assert!(described(lab, &c, &description).contains("0000000000000000"));
    }

    fn an_ignored_sigchld_of_the_caller_hides_no_child(lab) {
        let c = lab.bundle(&Config::new().args(&["sh", "-c", "exit 3"]));
        let ignore = "exec perl -e '$SIG{CHLD} = \"IGNORE\"; exec @ARGV' -- \"$@\"";
        c.run_with(&[]).through_shell(ignore).run().code(3);
        let c = lab.sleeper();
        c.exec_with(&[], &["sh", "-c", "exit 4"]).through_shell(ignore).run().code(4);
        exec(lab, &c, &[], &["/no/such"]).through_shell(ignore).run().code(255).says("no such file or directory");
    }

    fn a_start_that_proc_cannot_tell_about_is_no_success(lab) {
        let filter = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["execve", "execveat"], "action": "SCMP_ACT_KILL_PROCESS"}],
        });
        let c = lab.created(&Config::new().set("/linux/seccomp", filter));
        let trace = lab.path("strace");
        for count in 1..60 {
            let inject = format!(
                "exec strace -qq -o '{}' -e trace=openat,openat2 -e inject=openat,openat2:error=EMFILE:when={count} \"$@\"",
                trace.display()
            );
            let output = exec(lab, &c, &["-d"], &["true"]).through_shell(&inject).run();
            assert_ne!(output.status.code(), Some(0), "opening number {count}: {output}");
        }
        drop(fs::remove_file(trace));
    }

    fn a_limit_that_only_the_host_may_raise_is_named_once(lab) {
        let c = lab.sleeper();
        let mut description = process(&["true"]);
        description["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}]);
        assert_eq!(described(lab, &c, &description), "");
        description["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 1_u64 << 40}]);
        let ceiling = fs::read_to_string("/proc/sys/fs/nr_open").unwrap();
        let text = format!("exec: RLIMIT_NOFILE {} is above fs.nr_open={}", 1_u64 << 40, ceiling.trim());
        refused_process(lab, &c, &description, &text);
    }
}
