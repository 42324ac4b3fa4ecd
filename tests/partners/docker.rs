//! dockerd 20.10 or newer: what its users type.

use rustix::process::Signal;
use serde_json::json;
use testkit::docker::{Docker, IMAGE};
use testkit::{Lab, conformance, hang, hierarchy, partner, pty, require_partner, systemd};

/// The capabilities that dockerd 20.10 has names for: up to `CAP_AUDIT_READ`. Source: `linux/capability.h`
const ALL_THAT_DOCKERD_KNOWS: u64 = (1 << 38) - 1;

/// Limits of memory (bytes) and of processes, as the kernel has them for a group.
fn limits(group: &str) -> (u64, u64) {
    let memory = if hierarchy::is_v1("memory") { "memory.limit_in_bytes" } else { "memory.max" };
    let [memory, pids] = [("memory", memory), ("pids", "pids.max")].map(|(controller, file)| {
        let text = std::fs::read_to_string(hierarchy::directory(controller, group).join(file)).unwrap();
        text.trim().parse().unwrap()
    });
    (memory, pids)
}

/// Asserts that every process of a stock `docker run` and `docker exec` has dockerd's own profile, where there are profiles.
fn assert_apparmor(lab: &Lab, docker: &Docker<'_>) {
    lab.step("AppArmor");
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    if enabled.trim() != "Y" {
        partner::not_run("this kernel has no AppArmor: docker-default");
        return;
    }
    let attribute = ["cat", "/proc/self/attr/current"];
    docker.ok(&[&["exec", "one"][..], &attribute].concat()).prints("docker-default (enforce)");
    docker
        .ok(&[&["run", "--rm", "--runtime=tested", IMAGE][..], &attribute].concat())
        .prints("docker-default (enforce)");
    // The profile forbids it to everybody; with all capabilities and no filter nothing else does.
    let free = ["run", "--rm", "--runtime=tested", "--cap-add=ALL", "--security-opt=seccomp=unconfined"];
    let mount = [IMAGE, "mount", "-t", "tmpfs", "t", "/tmp"];
    assert_ne!(docker.cli(&[&free[..], &mount].concat()).run().status.code(), Some(0));
    docker.ok(&[&free[..], &["--security-opt=apparmor=unconfined"], &mount].concat());
}

conformance! {
    fn one_line_of_daemon_json_is_enough(lab) {
        require_partner!("dockerd");
        let docker = Docker::stock(lab);

        lab.step("run: the group is the driver's own");
        docker.ok(&["run", "--rm", "--runtime=tested", IMAGE, "echo", "hello"]).prints("hello");
        docker.sleeper("one", &["--runtime=tested", "--memory=128m", "--pids-limit=50"]);
        let found = docker.inspect("one");
        let (id, pid) = (found["Id"].as_str().unwrap(), &found["State"]["Pid"]);
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert_eq!(hierarchy::group_in(&text, "pids"), docker.group_of(id));
        assert_eq!(limits(&docker.group_of(id)), (128 << 20, 50));

        lab.step("exec, top, pause");
        docker.cli(&["exec", "one", "sh", "-c", "exit 7"]).run().code(7);
        assert!(docker.ok(&["top", "one"]).stdout.contains("sleep 1000000"));
        docker.ok(&["pause", "one"]);
        docker.ok(&["unpause", "one"]);
        assert_apparmor(lab, &docker);

        lab.step("update, which systemd keeps to");
        docker.ok(&["update", "--memory=64m", "--memory-swap=64m", "--pids-limit=60", "one"]);
        assert_eq!(limits(&docker.group_of(id)), (64 << 20, 60));
        if lab.driver().is_systemd() {
            systemd::reload(lab);
            assert_eq!(limits(&docker.group_of(id)), (64 << 20, 60));
        }

        lab.step("restart, stop, rm");
        docker.ok(&["restart", "--time=0", "one"]);
        assert_eq!(limits(&docker.group_of(id)), (64 << 20, 60));
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["stop", "--time=0", "one"]);
        docker.ok(&["rm", "one"]);
        assert!(hierarchy::existing(&docker.group_of(id)).is_empty());
        if lab.driver().is_systemd() {
            systemd::wait_gone(lab, &format!("docker-{id}.scope"));
        }
    }

    fn the_cgroup_namespace_and_the_init_are_the_ones_asked_for(lab) {
        require_partner!("dockerd");
        require_partner!("docker-init");
        let docker = Docker::start(lab);
        let own_group = |flag: &str| {
            let text = docker.ok(&["run", "--rm", flag, IMAGE, "cat", "/proc/self/cgroup"]).stdout;
            hierarchy::group_in(&text, "pids")
        };
        lab.step("cgroup namespaces");
        let parent = format!("/{}/", lab.cgroup_parent().trim_start_matches('/'));
        let seen = own_group("--cgroupns=host");
        assert!(seen.starts_with(&parent), "{seen} is not below {parent}");
        assert_eq!(own_group("--cgroupns=private"), "/");

        lab.step("init");
        docker.ok(&["run", "--rm", "--init", IMAGE, "cat", "/proc/1/comm"]).prints("docker-init");
        docker.cli(&["run", "--rm", "--init", IMAGE, "sh", "-c", "exit 3"]).run().code(3);
    }

    fn a_privileged_container_has_what_root_has(lab) {
        require_partner!("dockerd");
        let own = testkit::process::status_line(rustix::process::getpid().as_raw_pid(), "CapEff");
        if u64::from_str_radix(&own, 16).unwrap() & ALL_THAT_DOCKERD_KNOWS != ALL_THAT_DOCKERD_KNOWS {
            partner::not_run("root lacks capabilities here that dockerd gives");
            return;
        }
        let docker = Docker::start(lab);
        let run = |command: &[&str]| docker.cli(&[&["run", "--rm", "--privileged", IMAGE], command].concat());
        let status = run(&["cat", "/proc/self/status"]).ok().stdout;
        let had = u64::from_str_radix(&testkit::process::status_value(&status, "CapEff"), 16).unwrap();
        assert_eq!(had & ALL_THAT_DOCKERD_KNOWS, ALL_THAT_DOCKERD_KNOWS, "{had:x}");
        assert_eq!(testkit::process::status_value(&status, "Seccomp"), "0");
        run(&["mount", "-t", "tmpfs", "t", "/tmp"]).ok();
        run(&["sh", "-c", "n=$(cat /proc/sys/kernel/printk); echo $n > /proc/sys/kernel/printk && test -c /dev/kmsg"]).ok();
    }

    fn a_container_lives_through_its_commands(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);

        lab.step("run: output and exit status");
        docker.ok(&["run", "--rm", IMAGE, "echo", "hello"]).prints("hello");
        docker.cli(&["run", "--rm", IMAGE, "sh", "-c", "exit 42"]).run().code(42);
        docker.cli(&["run", "--rm", "-i", IMAGE, "cat"]).stdin_bytes(b"through\n").ok().prints("through");

        lab.step("exec: identity, directory, environment");
        docker.sleeper("one", &["--memory=128m", "--pids-limit=50"]);
        docker.cli(&["exec", "one", "sh", "-c", "exit 7"]).run().code(7);
        docker.ok(&["exec", "-u", "1000:1000", "one", "id", "-u"]).prints("1000");
        docker.ok(&["exec", "-u", "worker", "one", "sh", "-c", "echo $HOME"]).prints("/home/worker");
        docker.ok(&["exec", "-w", "/tmp", "one", "pwd"]).prints("/tmp");
        docker.ok(&["exec", "-e", "A=b c", "one", "sh", "-c", "echo $A"]).prints("b c");
        docker.cli(&["exec", "-i", "one", "cat"]).stdin_bytes(b"through\n").ok().prints("through");
        docker.ok(&["exec", "-d", "one", "sh", "-c", "touch /detached; sleep 1000000"]);
        hang::eventually("the detached exec", || {
            docker.cli(&["exec", "one", "test", "-e", "/detached"]).run().status.success()
        });

        lab.step("top, stats, inspect, logs");
        let top = docker.ok(&["top", "one"]).stdout;
        assert_eq!(top.matches("sleep 1000000").count(), 2, "init and the detached exec: {top}");
        let stats = docker.ok(&["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "one"]).stdout;
        assert!(stats.contains("128MiB"), "{stats}");
        let state = docker.inspect("one");
        assert_eq!(state["State"]["Running"], true);
        assert_eq!(state["HostConfig"]["Runtime"], "tested");

        lab.step("pause and unpause");
        docker.ok(&["pause", "one"]);
        docker.wait_inspect("one", "/State/Status", &json!("paused"));
        docker.cli(&["exec", "one", "true"]).run().code(1).says("is paused");
        docker.ok(&["unpause", "one"]);
        docker.ok(&["exec", "one", "true"]);

        lab.step("update");
        docker.ok(&["update", "--memory=64m", "--memory-swap=64m", "--pids-limit=60", "one"]);
        let id = docker.inspect("one")["Id"].as_str().unwrap().to_owned();
        let limit = hierarchy::directory("pids", &docker.group_of(&id)).join("pids.max");
        assert_eq!(std::fs::read_to_string(limit).unwrap(), "60\n");

        lab.step("kill by signal, restart, stop, start");
        docker.ok(&["restart", "--time=0", "one"]);
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["stop", "--time=1", "one"]);
        docker.wait_inspect("one", "/State/ExitCode", &json!(137));
        docker.ok(&["start", "one"]);
        docker.ok(&["kill", "--signal=KILL", "one"]);
        docker.wait_inspect("one", "/State/Status", &json!("exited"));

        lab.step("rm");
        docker.ok(&["rm", "one"]);
        docker.sleeper("two", &[]);
        docker.ok(&["rm", "--force", "two"]);
        assert_eq!(docker.ok(&["ps", "--all", "--quiet"]).stdout, "");
    }

    fn terminals_are_real(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);

        lab.step("run -it");
        let (mut terminal, side) = pty::open();
        terminal.resize(31, 91);
        let running = docker.cli(&["run", "--rm", "-it", IMAGE, "sh"]).on_terminal(&side).spawn();
        drop(side);
        terminal.expect("# ");
        // The client sends its size after the start.
        hang::eventually("the size", || {
            terminal.forget();
            terminal.send("stty size; echo done$((1+1))\n");
            terminal.expect("done2").contains("31 91")
        });
        terminal.send("tty; exit 5\n");
        terminal.expect("/dev/pts/0");
        running.wait().code(5);

        lab.step("exec -it");
        docker.sleeper("one", &[]);
        let (mut terminal, side) = pty::open();
        let running = docker.cli(&["exec", "-it", "one", "sh"]).on_terminal(&side).spawn();
        drop(side);
        terminal.expect("# ");
        terminal.send("echo A${X}B; exit 6\n");
        terminal.expect("AB");
        running.wait().code(6);

        lab.step("interrupt by the terminal");
        let (mut terminal, side) = pty::open();
        let running = docker
            .cli(&["exec", "-it", "one", "sh", "-c", "echo ready; exec sleep 1000000"])
            .on_terminal(&side)
            .spawn();
        drop(side);
        terminal.expect("ready");
        terminal.send("\u{3}");
        running.wait().code(130);
        docker.ok(&["rm", "--force", "one"]);
    }

    fn errors_become_dockers_exit_codes(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);
        docker.sleeper("one", &[]);

        lab.step("not found is 127, not executable is 126");
        for (program, code) in [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126)] {
            docker.cli(&["run", "--rm", IMAGE, program]).run().code(code);
            let exec = docker.cli(&["exec", "one", program]).run();
            // dockerd 20.10 makes 126 of every exec that did not start, newer ones tell 127 apart.
            assert!(matches!(exec.status.code(), Some(126 | 127)), "{exec}");
            assert!(exec.stdout.contains(program), "{exec}");
        }
        let lost = docker.cli(&["exec", "-w", "/nowhere", "one", "pwd"]).run();
        assert!(matches!(lost.status.code(), Some(126 | 127)) && lost.stdout.contains("/nowhere"), "{lost}");

        lab.step("a stopped container");
        docker.ok(&["kill", "one"]);
        docker.cli(&["exec", "one", "true"]).run().code(1).says("is not running");
        docker.ok(&["rm", "one"]);
    }

    fn default_seccomp_and_capabilities_hold(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);
        docker.sleeper("one", &[]);
        for prefix in [&["run", "--rm", IMAGE][..], &["exec", "one"][..]] {
            let run = |command: &[&str]| docker.cli(&[prefix, command].concat()).run();
            lab.step("capabilities and filter");
            let status = run(&["cat", "/proc/self/status"]).stdout;
            assert_eq!(testkit::process::status_value(&status, "CapEff"), "00000000a80425fb");
            assert_eq!(testkit::process::status_value(&status, "Seccomp"), "2");
            lab.step("refused: mount, unshare, keyctl");
            assert_ne!(run(&["mount", "-t", "tmpfs", "t", "/tmp"]).status.code(), Some(0));
            assert_ne!(run(&["unshare", "-m", "true"]).status.code(), Some(0));
            lab.step("masked and read-only paths");
            assert_eq!(run(&["cat", "/proc/keys"]).stdout, "");
            run(&["sh", "-c", "echo 1 > /proc/sys/kernel/printk"]).code(1);
        }
        lab.step("what is granted is had");
        // Where there is AppArmor, docker-default forbids mounting whatever the capabilities are.
        let free = ["--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"];
        let mount = [IMAGE, "mount", "-t", "tmpfs", "t", "/tmp"];
        docker.ok(&[&["run", "--rm", "--cap-add=SYS_ADMIN"][..], &free, &mount].concat());
        lab.step("read-only root, tmpfs, devices, init, limits, user namespace of the host");
        docker.cli(&["run", "--rm", "--read-only", IMAGE, "touch", "/x"]).run().code(1);
        docker.ok(&["run", "--rm", "--read-only", "--tmpfs=/t:size=1m", IMAGE, "touch", "/t/x"]);
        docker.ok(&["run", "--rm", "--ulimit=nofile=99:99", IMAGE, "sh", "-c", "ulimit -n"]).prints("99");
        docker.ok(&["run", "--rm", "--device=/dev/null:/dev/mine", IMAGE, "test", "-c", "/dev/mine"]);
        docker.ok(&[
            "run",
            "--rm",
            "--pid=host",
            IMAGE,
            "test",
            "-d",
            &format!("/proc/{}", std::process::id()),
        ]);
        docker
            .ok(&[
                "run",
                "--rm",
                "--pid=container:one",
                "--network=container:one",
                IMAGE,
                "sh",
                "-c",
                "cat /proc/1/comm",
            ])
            .prints("sleep");
        docker
            .ok(&[
                "run",
                "--rm",
                "--sysctl=net.ipv4.ip_forward=1",
                IMAGE,
                "cat",
                "/proc/sys/net/ipv4/ip_forward",
            ])
            .prints("1");
        docker.ok(&["run", "--rm", "--hostname=name-of-it", IMAGE, "hostname"]).prints("name-of-it");
        docker.ok(&["rm", "--force", "one"]);
    }

    fn health_checks_follow_the_command(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);
        let flags = [
            "--health-cmd=test -e /tmp/well",
            "--health-interval=200ms",
            "--health-retries=1",
            "--health-timeout=20s",
        ];
        docker.sleeper("one", &flags);
        docker.wait_inspect("one", "/State/Health/Status", &json!("unhealthy"));
        docker.ok(&["exec", "one", "touch", "/tmp/well"]);
        docker.wait_inspect("one", "/State/Health/Status", &json!("healthy"));
        docker.ok(&["exec", "one", "rm", "/tmp/well"]);
        let found = docker.wait_inspect("one", "/State/Health/Status", &json!("unhealthy"));
        let entries = found["State"]["Health"]["Log"].as_array().unwrap().len();
        assert!(entries > 0, "{found}");
        docker.ok(&["rm", "--force", "one"]);
    }

    fn an_out_of_memory_kill_is_reported(lab) {
        require_partner!("dockerd");
        let docker = Docker::start(lab);
        let command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
        let run =
            [&["run", "--name=one", "--memory=16m", "--memory-swap=16m", IMAGE][..], &command[..]].concat();
        // The stock shim listens for kills once the start is over, and now and then that is too late.
        hang::eventually("an out-of-memory kill that the shim has heard of", || {
            docker.cli(&run).run().code(137);
            let told = docker.ok(&["inspect", "--format={{.State.OOMKilled}}", "one"]).stdout;
            docker.ok(&["rm", "one"]);
            told.trim() == "true"
        });
    }

    fn the_line_may_be_taken_out_while_containers_run(lab) {
        require_partner!("dockerd");
        let mut docker = Docker::start(lab);
        let with = json!({"runtimes": {"tested": {"path": lab.binary()}}, "live-restore": true});
        let without = json!({"live-restore": true});
        docker.stop_daemon(Signal::TERM);
        docker.start_daemon(&with);
        docker.sleeper("one", &["--runtime=tested"]);

        lab.step("the daemon comes back without the line: the container ran on");
        docker.stop_daemon(Signal::TERM);
        docker.start_daemon(&without);
        assert_eq!(docker.inspect("one")["State"]["Running"], true);
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["pause", "one"]);
        docker.ok(&["unpause", "one"]);
        docker.ok(&["run", "--rm", IMAGE, "true"]);

        lab.step("what needs the line says so");
        docker.ok(&["stop", "--time=0", "one"]);
        docker.cli(&["start", "one"]).run().code(1).says("tested");

        lab.step("the line comes back");
        docker.stop_daemon(Signal::TERM);
        docker.start_daemon(&with);
        docker.ok(&["start", "one"]);
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["rm", "--force", "one"]);
    }
}
