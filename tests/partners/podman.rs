//! podman with conmon: no daemon, the runtime is called by two programs.

use testkit::podman::{IMAGE, Podman};
use testkit::{conformance, hang, hierarchy, process, require_partner, systemd};

/// The group of a container's init as the kernel names it.
fn group_of(podman: &Podman<'_>, name: &str) -> String {
    let pid = podman.ok(&["inspect", "--format={{.State.Pid}}", name]).stdout;
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.trim())).unwrap();
    hierarchy::group_in(&text, "pids")
}

fn id_of(podman: &Podman<'_>, name: &str) -> String {
    podman.ok(&["inspect", "--format={{.Id}}", name]).stdout.trim().to_owned()
}

conformance! {
    fn its_defaults_are_enough(lab) {
        require_partner!("podman");
        let podman = Podman::stock(lab);

        lab.step("run: the group is the driver's own");
        podman.run(&["--rm"], &["echo", "hello"]).ok().prints("hello");
        let flags = ["--detach", "--name=one", "--pids-limit=50", "--memory=128m"];
        let health = ["--health-cmd=true", "--health-interval=disable"];
        podman.run(&[&flags[..], &health].concat(), &["sleep", "1000000"]).ok();
        let id = id_of(&podman, "one");
        let group = podman.group_of(&id);
        assert_eq!(group_of(&podman, "one"), group);
        let limit = |controller: &str, file: &str| {
            std::fs::read_to_string(hierarchy::directory(controller, &group).join(file)).unwrap()
        };
        assert_eq!(limit("pids", "pids.max"), "50\n");

        lab.step("exec, top, pause, health check");
        podman.cli(&["exec", "one", "sh", "-c", "exit 7"]).run().code(7);
        assert!(podman.ok(&["top", "one", "pid", "comm"]).stdout.contains("sleep"));
        podman.ok(&["pause", "one"]);
        podman.ok(&["unpause", "one"]);
        podman.ok(&["healthcheck", "run", "one"]);

        lab.step("update, which systemd keeps to");
        podman.ok(&["update", "--memory=64m", "one"]);
        let memory = if hierarchy::is_v1("memory") { "memory.limit_in_bytes" } else { "memory.max" };
        assert_eq!(limit("memory", memory), "67108864\n");
        if lab.driver().is_systemd() {
            systemd::reload(lab);
            assert_eq!(limit("memory", memory), "67108864\n");
        }

        lab.step("stop, rm");
        podman.ok(&["stop", "--time=0", "one"]);
        podman.ok(&["rm", "one"]);
        hang::eventually("the group to be gone", || hierarchy::existing(&group).is_empty());
        if lab.driver().is_systemd() {
            systemd::wait_gone(lab, &format!("libpod-{id}.scope"));
        }
    }

    fn a_container_lives_through_its_commands(lab) {
        require_partner!("podman");
        let podman = Podman::new(lab);

        lab.step("run: output and exit status");
        podman.run(&["--rm"], &["echo", "hello"]).ok().prints("hello");
        podman.run(&["--rm"], &["sh", "-c", "exit 42"]).run().code(42);
        podman.run(&["--rm"], &["no-such-program"]).run().code(127);
        podman.run(&["--rm"], &["/etc/passwd"]).run().code(126);

        lab.step("exec");
        podman.run(&["--detach", "--name=one"], &["sleep", "1000000"]).ok();
        podman.cli(&["exec", "one", "sh", "-c", "exit 7"]).run().code(7);
        podman.ok(&["exec", "--user=1000", "one", "id", "-u"]).prints("1000");
        podman.ok(&["exec", "--workdir=/tmp", "one", "pwd"]).prints("/tmp");
        podman.ok(&["exec", "--env=A=b", "one", "sh", "-c", "echo $A"]).prints("b");
        podman.cli(&["exec", "-i", "one", "cat"]).stdin_bytes(b"through\n").ok().prints("through");
        podman.cli(&["exec", "one", "no-such-program"]).run().code(127);

        lab.step("pause, unpause, top, inspect");
        podman.ok(&["pause", "one"]);
        podman.ok(&["unpause", "one"]);
        assert!(podman.ok(&["top", "one", "pid", "comm"]).stdout.contains("sleep"));
        podman.ok(&["inspect", "--format={{.State.Status}}", "one"]).prints("running");

        lab.step("stop, start, kill, rm");
        podman.ok(&["stop", "--time=0", "one"]);
        podman.ok(&["start", "one"]);
        podman.ok(&["exec", "one", "true"]);
        podman.ok(&["kill", "one"]);
        podman.ok(&["wait", "one"]).prints("137");
        podman.ok(&["rm", "one"]);
    }

    fn health_checks_run_on_demand(lab) {
        require_partner!("podman");
        let podman = Podman::new(lab);
        let flags = [
            "--detach",
            "--name=one",
            "--health-cmd=test -e /tmp/well",
            "--health-interval=disable",
            "--health-retries=1",
        ];
        podman.run(&flags, &["sleep", "1000000"]).ok();
        podman.cli(&["healthcheck", "run", "one"]).run().code(1);
        podman.ok(&["exec", "one", "touch", "/tmp/well"]);
        podman.ok(&["healthcheck", "run", "one"]);
        podman.ok(&["rm", "--force", "--time=0", "one"]);
    }

    fn the_containers_of_a_pod_share_namespaces(lab) {
        require_partner!("podman");
        let podman = Podman::stock(lab);
        let infra = ["--infra-image", IMAGE, "--infra-command=sleep 1000000", "--infra-name=infra"];
        let create = ["pod", "create", "--name=pod", "--network=none", "--share=ipc,net,uts"];
        podman.cli(&[&create[..], &infra].concat()).args(podman.placement()).ok();
        podman.ok(&["pod", "start", "pod"]);
        let id = podman.ok(&["pod", "inspect", "--format={{.ID}}", "pod"]).stdout.trim().to_owned();
        assert_eq!(group_of(&podman, "infra"), podman.group_in_pod(&id, &id_of(&podman, "infra")));
        let member = ["--pod=pod", "--rm"];
        let script = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts; readlink /proc/self/ns/pid";
        let run = podman.in_pod(&member, &["sh", "-c", script]).ok().stdout;
        let pid: i32 =
            podman.ok(&["inspect", "--format={{.State.Pid}}", "infra"]).stdout.trim().parse().unwrap();
        let kinds: Vec<&str> = run.lines().collect();
        for (at, kind) in ["net", "ipc", "uts"].into_iter().enumerate() {
            assert_eq!(kinds[at], process::namespace(pid, kind), "{kind}");
        }
        assert_ne!(kinds[3], process::namespace(pid, "pid"));
        podman.ok(&["exec", "infra", "true"]);
        podman.ok(&["pod", "rm", "--force", "--time=0", "pod"]);
        podman.remove_left(&id);
    }

    fn containers_share_namespaces(lab) {
        require_partner!("podman");
        let podman = Podman::new(lab);
        podman.run(&["--detach", "--name=one", "--ipc=shareable"], &["sleep", "1000000"]).ok();
        let flags = ["--rm", "--pid=container:one", "--ipc=container:one", "--uts=container:one"];
        let arguments = ["sh", "-c", "cat /proc/1/comm; readlink /proc/1/ns/ipc; readlink /proc/self/ns/ipc"];
        let output = podman.run(&flags, &arguments).ok();
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], "sleep");
        assert_eq!(lines[1], lines[2]);
        podman.ok(&["rm", "--force", "--time=0", "one"]);
        hang::eventually("nothing listed", || podman.ok(&["ps", "--all", "--quiet"]).stdout.is_empty());
    }
}
