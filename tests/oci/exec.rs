//! `exec`: exit status, identity, environment, and the states in which it is refused.

use std::fs;

use serde_json::{Value, json};
use testkit::config::capability_sets;
use testkit::{Config, conformance, hang, hierarchy, process};

conformance! {
    fn exit_statuses_of_the_program_pass_through(lab) {
        let c = lab.sleeper();
        for code in [0, 1, 2, 126, 127, 128, 254, 255] {
            c.exec(&["sh", "-c", &format!("exit {code}")]).code(code);
        }
    }

    fn death_by_a_signal_is_128_and_its_number(lab) {
        let c = lab.sleeper();
        for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
            c.exec(&["sh", "-c", &format!("kill -{name} $$")]).code(128 + number);
        }
    }

    fn the_streams_are_the_callers(lab) {
        let c = lab.sleeper();
        let script = "read line; echo out $line; echo err $line >&2";
        let output = c.exec_with(&[], &["sh", "-c", script]).stdin_bytes(b"hello\n").ok();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out hello\n", "err hello\n"));
    }

    fn end_of_input_reaches_the_program(lab) {
        let c = lab.sleeper();
        let mut running = c.exec_with(&[], &["sh", "-c", "echo ready; cat; echo end"]).stdin_pipe().spawn();
        running.wait_stdout("ready");
        drop(running.stdin());
        assert_eq!(running.wait().ok().stdout, "ready\nend\n");
    }

    fn input_without_end_does_not_hold_the_exit(lab) {
        let c = lab.sleeper();
        let mut running = c.exec_with(&[], &["true"]).stdin_pipe().spawn();
        let open = running.stdin();
        running.wait().ok();
        drop(open);
    }

    fn large_output_is_complete(lab) {
        let c = lab.sleeper();
        let output = c.exec(&["sh", "-c", "dd if=/dev/zero bs=1M count=3 2>/dev/null | tr '\\0' x"]).ok();
        assert_eq!(output.stdout.len(), 3 << 20);
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["exec", "nobody", "true"]).code(255).says("does not exist");
    }

    fn a_stopped_container_is_refused(lab) {
        let c = lab.sleeper();
        c.stop();
        c.exec(&["true"]).code(255).says("cannot exec in a stopped container");
    }

    fn a_created_container_is_open_to_exec(lab) {
        let c = lab.created(&Config::new());
        c.exec(&["sh", "-c", "exit 7"]).code(7);
        assert_eq!(c.status(), "created");
    }

    fn no_program_is_refused(lab) {
        let c = lab.sleeper();
        let code = c.exec(&[]).status.code().unwrap();
        assert!(matches!(code, 1 | 255), "{code}");
    }

    fn a_program_not_in_path_has_dockerds_phrase(lab) {
        let c = lab.sleeper();
        let output = c.exec(&["no-such-program"]).code(255);
        output.says("exec: \"no-such-program\": executable file not found in $PATH");
    }

    fn an_absolute_program_that_is_missing_has_dockerds_phrase(lab) {
        let c = lab.sleeper();
        c.exec(&["/no/such"]).code(255).says("/no/such").says("no such file or directory");
    }

    fn a_file_that_may_not_run_has_dockerds_phrase(lab) {
        let c = lab.sleeper();
        c.exec(&["/etc/passwd"]).code(255).says("exec: \"/etc/passwd\": permission denied");
    }

    fn a_directory_has_a_phrase_of_dockerds_126_class(lab) {
        let c = lab.sleeper();
        let output = c.exec(&["/etc"]).code(255);
        let text = output.stderr.to_lowercase();
        assert!(text.contains("is a directory") || text.contains("permission denied"), "{output}");
    }

    fn the_users_ids_are_taken(lab) {
        let c = lab.sleeper();
        c.exec_with(&["--user", "1000:1000"], &["id", "-u"]).ok().prints("1000");
        c.exec_with(&["-u", "1000:1000"], &["id", "-g"]).ok().prints("1000");
        c.exec_with(&["--user", "12345"], &["sh", "-c", "echo $(id -u) $(id -g)"]).ok().prints("12345 0");
    }

    fn additional_groups_are_added(lab) {
        let c = lab.sleeper();
        let flags = ["--user", "1000:1000", "--additional-gids", "2000", "--additional-gids", "3000"];
        let output = c.exec_with(&flags, &["grep", "Groups", "/proc/self/status"]).ok();
        assert_eq!(output.stdout.split_whitespace().collect::<Vec<_>>(), ["Groups:", "2000", "3000"]);
    }

    fn home_comes_from_the_containers_passwd(lab) {
        let c = lab.sleeper();
        c.exec(&["sh", "-c", "echo $HOME"]).ok().prints("/root");
        c.exec_with(&["--user", "1000:1000"], &["sh", "-c", "echo $HOME"]).ok().prints("/home/worker");
        c.exec_with(&["--user", "4242"], &["sh", "-c", "echo $HOME"]).ok().prints("/");
        c.exec_with(&["--env", "HOME=/x"], &["sh", "-c", "echo $HOME"]).ok().prints("/x");
    }

    fn the_environment_is_the_containers_and_the_flags(lab) {
        let c = lab.started(&Config::new().env("FROM=config").env("BOTH=config"));
        let flags = ["--env", "BOTH=flag", "--env", "COMMA=a,b", "--env", "EMPTY="];
        let output = c.exec_with(&flags, &["env"]).ok();
        for line in ["FROM=config", "BOTH=flag", "COMMA=a,b", "EMPTY="] {
            assert!(output.stdout.lines().any(|found| found == line), "{line}: {output}");
        }
        assert!(!output.stdout.contains("BOTH=config"), "{output}");
    }

    fn nothing_of_the_callers_environment_leaks(lab) {
        let c = lab.sleeper();
        let output = c.exec_with(&[], &["env"]).env("SECRET_OF_THE_CALLER", "1").ok();
        let names: Vec<&str> = output.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| matches!(*name, "PATH" | "HOME" | "PWD" | "SHLVL")), "{names:?}");
    }

    fn the_working_directory_is_taken(lab) {
        let c = lab.started(&Config::new().set("/process/cwd", json!("/home")));
        c.exec(&["pwd"]).ok().prints("/home");
        c.exec_with(&["--cwd", "/tmp"], &["pwd"]).ok().prints("/tmp");
    }

    fn a_missing_working_directory_is_named(lab) {
        let c = lab.sleeper();
        c.exec_with(&["--cwd", "/nowhere/at/all"], &["pwd"]).run().code(255).says("/nowhere/at/all");
    }

    fn a_relative_working_directory_is_refused(lab) {
        let c = lab.sleeper();
        c.exec_with(&["--cwd", "tmp"], &["pwd"]).run().code(255).says("absolute path");
    }

    fn capabilities_are_the_containers_and_the_flags(lab) {
        let c = lab.started(&Config::new().capabilities(&["CAP_KILL"]));
        let kill = 1_u64 << 5;
        let net_admin = 1_u64 << 12;
        let plain = c.exec(&["cat", "/proc/self/status"]).ok().stdout;
        assert_eq!(capability_mask(&plain, "CapEff"), kill);
        assert_eq!(capability_mask(&plain, "CapBnd"), kill);
        let more = c.exec_with(&["--cap", "CAP_NET_ADMIN"], &["cat", "/proc/self/status"]).ok().stdout;
        assert_eq!(capability_mask(&more, "CapEff"), kill | net_admin);
        assert_eq!(capability_mask(&more, "CapBnd"), kill | net_admin);
    }

    fn a_user_other_than_root_has_no_effective_capabilities(lab) {
        let c = lab.sleeper();
        let status = c.exec_with(&["--user", "1000"], &["cat", "/proc/self/status"]).ok().stdout;
        assert_eq!(capability_mask(&status, "CapEff"), 0);
    }

    fn no_new_privs_is_the_containers_or_the_flag(lab) {
        let c = lab.sleeper();
        let line = ["grep", "NoNewPrivs", "/proc/self/status"];
        assert!(c.exec(&line).ok().stdout.trim().ends_with('0'));
        assert!(c.exec_with(&["--no-new-privs"], &line).ok().stdout.trim().ends_with('1'));
        let hardened = lab.started(&Config::new().set("/process/noNewPrivileges", json!(true)));
        assert!(hardened.exec(&line).ok().stdout.trim().ends_with('1'));
    }

    fn the_process_file_says_everything(lab) {
        let c = lab.sleeper();
        let script =
            "echo $A $(id -u) $(id -g) $(pwd); ulimit -Ss; grep NoNewPrivs /proc/self/status; exit 9";
        let file = lab.write(
            "process.json",
            &json!({
                "terminal": false,
                "user": {"uid": 1000, "gid": 2000},
                "args": ["sh", "-c", script],
                "env": ["PATH=/bin", "A=b"],
                "cwd": "/tmp",
                "capabilities": capability_sets(&["CAP_KILL"]),
                "rlimits": [{"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152}],
                "noNewPrivileges": true,
            })
            .to_string(),
        );
        let output = c.exec_with(&["--process", file.to_str().unwrap()], &[]).run().code(9);
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        assert_eq!(words, ["b", "1000", "2000", "/tmp", "1024", "NoNewPrivs:", "1"]);
    }

    fn a_malformed_process_file_is_refused(lab) {
        let c = lab.sleeper();
        let file = lab.write("process.json", "{");
        c.exec_with(&["-p", file.to_str().unwrap()], &[]).run().code(255);
        c.exec_with(&["-p", "/nowhere.json"], &[]).run().code(255).says("/nowhere.json");
    }

    fn detached_returns_while_the_program_runs(lab) {
        let c = lab.sleeper();
        let file = lab.path("pid");
        c.exec_with(&["--detach", "--pid-file", file.to_str().unwrap()], &["sleep", "1000000"])
            .ok()
            .prints("");
        let text = fs::read_to_string(&file).unwrap();
        let pid: i32 = text.parse().expect("decimal without a newline");
        assert!(process::is_alive(pid));
        assert!(hierarchy::pids(&c.group()).contains(&pid));
    }

    fn a_detached_programs_exit_status_reaches_the_reaper(lab) {
        let c = lab.sleeper();
        let file = lab.path("pid");
        c.exec_with(&["-d", "--pid-file", file.to_str().unwrap()], &["sh", "-c", "exit 33"]).ok();
        let pid = fs::read_to_string(&file).unwrap().parse().unwrap();
        assert_eq!(process::reap(pid).exit_status(), Some(33));
    }

    fn the_pid_file_is_also_written_in_the_foreground(lab) {
        let c = lab.sleeper();
        let file = lab.path("pid");
        let running = c
            .exec_with(&["--pid-file", file.to_str().unwrap()], &["sh", "-c", "echo ready; sleep 1000"])
            .spawn();
        running.wait_stdout("ready");
        hang::eventually("the pid file", || file.exists());
        let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
        process::signal(pid, rustix::process::Signal::TERM);
        running.wait().code(143);
    }

    fn a_missing_program_leaves_no_pid_file(lab) {
        let c = lab.sleeper();
        let file = lab.path("pid");
        c.exec_with(&["-d", "--pid-file", file.to_str().unwrap()], &["no-such-program"]).run().code(255);
        assert!(!file.exists());
    }

    fn the_process_joins_every_namespace_and_group(lab) {
        let c = lab.sleeper();
        let file = lab.path("pid");
        c.exec_with(&["-d", "--pid-file", file.to_str().unwrap()], &["sleep", "1000000"]).ok();
        let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
        for kind in ["net", "mnt", "uts", "pid", "ipc", "cgroup", "user"] {
            assert_eq!(process::namespace(pid, kind), process::namespace(c.pid(), kind), "{kind}");
        }
        let groups = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert_eq!(groups(pid), groups(c.pid()));
    }

    fn the_process_leads_its_own_session(lab) {
        let c = lab.sleeper();
        let stat = c.exec(&["cat", "/proc/self/stat"]).ok().stdout;
        let fields: Vec<&str> = stat.split(' ').collect();
        assert_eq!((fields[0], fields[0]), (fields[4], fields[5]), "pid, group and session: {stat}");
    }

    fn no_descriptor_of_the_caller_leaks(lab) {
        let c = lab.sleeper();
        let planted = lab.write("planted", "secret");
        let output = c.exec_with(&[], &["ls", "/proc/self/fd"]).inherit(&[planted]).ok();
        assert_eq!(output.stdout, "0\n1\n2\n3\n", "3 is the directory being read");
    }

    fn signals_are_forwarded_to_the_program(lab) {
        let c = lab.sleeper();
        let script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let running = c.exec_with(&[], &["sh", "-c", script]).spawn();
        running.wait_stdout("ready");
        running.signal(rustix::process::Signal::TERM);
        assert_eq!(running.wait().code(5).stdout, "ready\ngot\n");
    }

    fn a_sub_group_is_joined(lab) {
        let c = lab.sleeper();
        for hierarchy in hierarchy::all() {
            fs::create_dir(hierarchy.directory(&c.group()).join("inner")).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let from = hierarchy.directory(&c.group()).join(file);
                let to = hierarchy.directory(&c.group()).join("inner").join(file);
                if let (Ok(value), true) = (fs::read(&from), to.exists()) {
                    rustix::io::write(fs::File::options().write(true).open(to).unwrap(), &value).unwrap();
                }
            }
        }
        let output = c.exec_with(&["--cgroup", "inner"], &["cat", "/proc/self/cgroup"]).ok();
        assert_eq!(hierarchy::group_in(&output.stdout, "pids"), format!("{}/inner", c.group()), "{output}");
    }

    fn a_missing_sub_group_is_named(lab) {
        let c = lab.sleeper();
        let output = c.exec_with(&["--cgroup", "nowhere"], &["true"]).run().code(255).says("nowhere");
        if !lab.is_reference() {
            output.says(&format!("--cgroup nowhere: container {} has no cgroup /sys/fs/cgroup/", c.id()));
        }
    }

    fn ignore_paused_waits_for_the_thaw(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        let running = c.exec_with(&["--ignore-paused"], &["sh", "-c", "exit 6"]).spawn();
        hang::eventually("a second process in the group", || hierarchy::pids(&c.group()).len() > 1);
        c.resume().ok();
        running.wait().code(6);
    }

    fn many_at_once_all_succeed(lab) {
        let c = lab.sleeper();
        let running: Vec<_> =
            (0..12).map(|code| c.exec_with(&[], &["sh", "-c", &format!("exit {code}")]).spawn()).collect();
        for (code, running) in (0..12).zip(running) {
            running.wait().code(code);
        }
    }

    fn init_that_dies_ends_its_execs(lab) {
        let c = lab.sleeper();
        let running = c.exec_with(&[], &["sh", "-c", "echo ready; sleep 1000000"]).spawn();
        running.wait_stdout("ready");
        c.kill("KILL").ok();
        running.wait().code(137);
    }

    fn a_script_runs_by_its_first_line(lab) {
        let c = lab.sleeper();
        script(&c, "/bin/good", "#!/bin/sh\nexit 3\n");
        c.exec(&["/bin/good"]).code(3);
        script(&c, "/bin/bad", "#!/no/such/interpreter\n");
        c.exec(&["/bin/bad"]).status.code().filter(|code| matches!(code, 1 | 255)).unwrap();
    }

    fn the_path_of_the_process_finds_the_program(lab) {
        let c = lab.sleeper();
        fs::create_dir(c.rootfs("/own")).unwrap();
        script(&c, "/own/tool", "#!/bin/sh\nexit 4\n");
        c.exec(&["tool"]).code(255).says("executable file not found in $PATH");
        c.exec_with(&["--env", "PATH=/own"], &["tool"]).run().code(4);
    }

    fn the_log_of_a_refused_exec_is_json(lab) {
        let c = lab.sleeper();
        let log = lab.path("log.json");
        let arguments =
            ["--log", log.to_str().unwrap(), "--log-format", "json", "exec", c.id(), "no-such-program"];
        lab.run(&arguments).code(255).says("executable file not found in $PATH");
        let text = fs::read_to_string(log).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["level"], "error");
        assert!(last["msg"].as_str().unwrap().contains("executable file not found in $PATH"), "{text}");
    }
}

fn capability_mask(status: &str, set: &str) -> u64 {
    u64::from_str_radix(&process::status_value(status, set), 16).unwrap()
}

fn script(c: &testkit::Container, path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let file = c.rootfs(path);
    fs::copy(c.rootfs("/etc/passwd"), &file).unwrap();
    let target = fs::File::options().write(true).truncate(true).open(&file).unwrap();
    rustix::io::write(target, text.as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}
