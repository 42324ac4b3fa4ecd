//! podman with conmon: no daemon, the runtime is called by two programs.

use testkit::podman::{IMAGE, Podman};
use testkit::{conformance, hang, process, require_partner};

conformance! {
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
        let podman = Podman::new(lab);
        let parent = format!("--cgroup-parent={}", lab.group());
        let infra = ["--infra-image", IMAGE, "--infra-command=sleep 1000000", "--infra-name=infra"];
        let create = ["pod", "create", "--name=pod", "--network=none", "--share=ipc,net,uts", &parent];
        podman.cli(&[&create[..], &infra].concat()).ok();
        podman.ok(&["pod", "start", "pod"]);
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
        let id = podman.ok(&["pod", "inspect", "--format={{.ID}}", "pod"]).stdout;
        podman.ok(&["pod", "rm", "--force", "--time=0", "pod"]);
        podman.remove_left(id.trim());
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
