//! `process` of `config.json`: identity, capabilities, limits, umask, working directory, program look-up.

use std::fs;

use serde_json::json;
use testkit::{Config, conformance, partner, process};

conformance! {
    fn the_users_ids_and_groups_are_taken(lab) {
        let user = json!({"uid": 1000, "gid": 1001, "additionalGids": [2000, 3000]});
        let output =
            lab.run_once(&Config::new().set("/process/user", user).args(&["cat", "/proc/self/status"])).ok();
        assert_eq!(process::status_value(&output.stdout, "Uid"), "1000\t1000\t1000\t1000");
        assert_eq!(process::status_value(&output.stdout, "Gid"), "1001\t1001\t1001\t1001");
        assert_eq!(process::status_value(&output.stdout, "Groups"), "2000 3000");
    }

    fn home_comes_from_the_containers_passwd(lab) {
        for (uid, home) in [(0, "/root"), (1000, "/home/worker"), (4242, "/")] {
            let config = Config::new().set("/process/user", json!({"uid": uid, "gid": 0}));
            lab.run_once(&config.script("echo $HOME")).ok().prints(home);
        }
        lab.run_once(&Config::new().env("HOME=/given").script("echo $HOME")).ok().prints("/given");
    }

    fn what_the_caller_ignores_is_not_ignored(lab) {
        let ignore = "trap '' HUP INT QUIT USR1 TERM TSTP";
        let show = ["grep", "SigIgn", "/proc/self/status"];
        // 32 to 34 are Go's.
        let ignored = |text: &str| u64::from_str_radix(text.trim_start_matches("SigIgn:").trim(), 16).unwrap() & 0x7fff_ffff;
        let output = lab.bundle(&Config::new().args(&show)).run_with(&[]).through_shell(ignore).ok();
        assert_eq!(ignored(&output.stdout), 0, "{output}");
        let output = lab.sleeper().exec_with(&[], &show).through_shell(ignore).ok();
        assert_eq!(ignored(&output.stdout), 0, "{output}");
    }

    fn an_empty_home_is_none(lab) {
        let config = Config::new().env("HOME=");
        lab.run_once(&config.script("echo $HOME")).ok().prints("/root");
    }

    fn the_environment_is_the_configs(lab) {
        let output = lab.run_once(&Config::new().env("A=b").env("EMPTY=").args(&["env"])).ok();
        let mut lines: Vec<&str> = output.stdout.lines().collect();
        lines.sort_unstable();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(lines, ["A=b", "EMPTY=", "HOME=/root", path]);
    }

    fn the_umask_is_taken(lab) {
        lab.run_once(&Config::new().script("umask")).ok().prints("0022");
        let config = Config::new().set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o27}));
        lab.run_once(&config.script("umask")).ok().prints("0027");
    }

    fn the_working_directory_is_made(lab) {
        let c = lab.bundle(&Config::new().set("/process/cwd", json!("/made/for/it")).args(&["pwd"]));
        c.run().ok().prints("/made/for/it");
        assert!(c.rootfs("/made/for/it").is_dir());
    }

    fn a_relative_working_directory_is_refused(lab) {
        let c = lab.bundle(&Config::new().set("/process/cwd", json!("tmp")));
        c.create().code(1).says("cwd");
    }

    fn a_working_directory_outside_the_root_is_refused(lab) {
        let c = lab.bundle(
            &Config::new()
                .set("/process/cwd", json!("/proc/self/fd/7"))
                .script("cat /etc/shadow /../../etc/hostname; pwd"),
        );
        let output = c.run();
        assert!(output.status.code() != Some(0) || !output.stdout.contains("root:"), "{output}");
    }

    fn all_five_capability_sets_are_exact(lab) {
        let sets = json!({
            "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
            "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "inheritable": ["CAP_KILL"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "ambient": ["CAP_KILL"],
        });
        let config = Config::new()
            .set("/process/capabilities", sets)
            .set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let status = lab.run_once(&config.args(&["cat", "/proc/self/status"])).ok().stdout;
        let mask = |set| u64::from_str_radix(&process::status_value(&status, set), 16).unwrap();
        let (chown, kill, net_raw) = (1, 1 << 5, 1 << 13);
        assert_eq!(mask("CapBnd"), chown | kill | net_raw);
        assert_eq!(mask("CapInh"), kill);
        assert_eq!(mask("CapAmb"), kill);
        assert_eq!(mask("CapPrm"), kill, "execve keeps the ambient ones");
    }

    fn root_has_the_bounding_set(lab) {
        let status = lab
            .run_once(&Config::new().capabilities(&["CAP_KILL"]).args(&["cat", "/proc/self/status"]))
            .ok()
            .stdout;
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(process::status_value(&status, set), "0000000000000020", "{set}");
        }
        assert_eq!(process::status_value(&status, "CapInh"), "0000000000000000");
    }

    fn no_capabilities_means_none(lab) {
        let status = lab
            .run_once(&Config::new().remove("/process/capabilities").args(&["cat", "/proc/self/status"]))
            .ok()
            .stdout;
        assert_eq!(process::status_value(&status, "CapEff"), "0000000000000000");
    }

    fn no_new_privs_is_taken(lab) {
        for wanted in [false, true] {
            let config = Config::new().set("/process/noNewPrivileges", json!(wanted));
            let status = lab.run_once(&config.args(&["cat", "/proc/self/status"])).ok().stdout;
            assert_eq!(process::status_value(&status, "NoNewPrivs"), if wanted { "1" } else { "0" });
        }
    }

    fn resource_limits_are_taken(lab) {
        let limits = json!([
            {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152},
        ]);
        let config = Config::new().set("/process/rlimits", limits);
        let text = lab.run_once(&config.args(&["cat", "/proc/self/limits"])).ok().stdout;
        for (name, soft, hard) in [
            ("Max open files", "512", "1024"),
            ("Max core file size", "0", "0"),
            ("Max stack size", "1048576", "2097152"),
        ] {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), [soft, hard], "{name}");
        }
    }

    fn exec_has_the_same_resource_limits(lab) {
        // Not RLIMIT_NOFILE: the Go runtime of the reference raises it at times.
        let limit = json!([{"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152}]);
        let c = lab.started(&Config::new().set("/process/rlimits", limit));
        assert_eq!(c.shell("ulimit -Ss; ulimit -Hs"), "1024\n2048");
    }

    fn a_resource_limit_given_twice_is_refused(lab) {
        if lab.reference_lacks("this refusal, which the specification demands") {
            return;
        }
        let limit = json!({"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024});
        lab.bundle(&Config::new().set("/process/rlimits", json!([limit, limit])))
            .create()
            .code(1)
            .says("RLIMIT_NOFILE");
    }

    fn an_unknown_resource_limit_is_refused(lab) {
        let limit = json!([{"type": "RLIMIT_WEATHER", "soft": 1, "hard": 1}]);
        lab.bundle(&Config::new().set("/process/rlimits", limit)).create().code(1).says("RLIMIT_WEATHER");
    }

    fn the_oom_score_is_taken(lab) {
        // Without CAP_SYS_RESOURCE a process may only raise it.
        let c = lab.started(&Config::new().set("/process/oomScoreAdj", json!(321)));
        assert_eq!(fs::read_to_string(format!("/proc/{}/oom_score_adj", c.pid())).unwrap(), "321\n");
        assert_eq!(c.shell("cat /proc/self/oom_score_adj"), "321");
    }

    /// The right to lower it is the host's: nobody in the user namespace has it.
    fn a_lower_oom_score_is_taken_with_a_user_namespace(lab) {
        if !partner::has_sys_resource() {
            return;
        }
        let config = Config::new().user_namespace(100_000).set("/process/oomScoreAdj", json!(-500));
        let c = lab.started(&config);
        assert_eq!(fs::read_to_string(format!("/proc/{}/oom_score_adj", c.pid())).unwrap(), "-500\n");
        assert_eq!(c.shell("cat /proc/self/oom_score_adj"), "-500");
    }

    fn the_path_of_the_process_finds_the_program(lab) {
        let config = Config::new().set("/process/env", json!(["PATH=/nowhere:/bin"]));
        lab.run_once(&config.args(&["true"])).ok();
        let config = Config::new().set("/process/env", json!(["PATH=/nowhere"]));
        lab.run_once(&config.args(&["true"])).code(1).says("executable file not found in $PATH");
    }

    fn an_empty_argument_list_is_refused(lab) {
        lab.bundle(&Config::new().args(&[])).create().code(1).says("args");
    }

    fn a_missing_process_is_refused_at_the_latest_by_start(lab) {
        let c = lab.bundle(&Config::new().remove("/process"));
        let output = c.create();
        assert!(output.status.code() != Some(0) || c.start().status.code() != Some(0));
    }

    fn a_relative_program_is_found_from_the_working_directory(lab) {
        let config = Config::new().set("/process/cwd", json!("/bin"));
        lab.run_once(&config.args(&["./busybox", "echo", "hello"])).ok().prints("hello");
    }

    fn argument_0_may_be_anything_busybox_knows(lab) {
        lab.run_once(&Config::new().args(&["/bin/busybox", "sh", "-c", "exit 6"])).code(6);
    }

    fn init_is_pid_1_and_leads_its_session(lab) {
        let stat = lab.run_once(&Config::new().args(&["cat", "/proc/self/stat"])).ok().stdout;
        let fields: Vec<&str> = stat.split(' ').collect();
        assert_eq!((fields[0], fields[4], fields[5]), ("1", "1", "1"), "{stat}");
    }

    fn signals_are_neither_blocked_nor_ignored(lab) {
        let status = lab.run_once(&Config::new().args(&["cat", "/proc/self/status"])).ok().stdout;
        for set in ["SigBlk", "SigIgn", "ShdPnd"] {
            assert_eq!(signal_set(&status, set), 0, "{set}");
        }
        let c = lab.sleeper();
        let status = c.shell("exec cat /proc/self/status");
        for set in ["SigBlk", "SigIgn"] {
            assert_eq!(signal_set(&status, set), 0, "{set} in exec");
        }
    }

    fn additional_groups_by_a_user_other_than_root(lab) {
        let c = lab.started(
            &Config::new().set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [2000]})),
        );
        assert_eq!(c.shell("id -u"), "1000");
        assert_eq!(c.shell("grep Groups /proc/self/status | tr -s '\\t ' ' '").trim(), "Groups: 2000");
    }
}

/// A set of signals, without 32 and 33, which C libraries keep for themselves and callers may hand down.
fn signal_set(status: &str, set: &str) -> u64 {
    u64::from_str_radix(&process::status_value(status, set), 16).unwrap() & !(0b11 << 31)
}
