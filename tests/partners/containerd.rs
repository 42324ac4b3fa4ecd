//! containerd with its stock shim: `ctr run --runc-binary`.

use testkit::containerd::Containerd;
use testkit::{conformance, hang, require_partner, rootfs};

conformance! {
    fn a_task_lives_through_its_commands(lab) {
        require_partner!("containerd");
        let mut containerd = Containerd::start(lab);
        let root = lab.path("tree");
        rootfs::build(&root);
        let binary = lab.binary().display().to_string();
        let ctr = |arguments: &[&str]| containerd.ctr("test").args(arguments);
        let run = |flags: &[&str], id: &str, command: &[&str]| {
            let state = format!("--runc-root={}", lab.path("ctdrun").display());
            let group = format!("--cgroup={}/{id}", lab.group());
            let fixed = ["run", "--runc-binary", &binary, &state, &group, "--env=PATH=/bin", "--rootfs"];
            ctr(&[&fixed[..], flags, &[root.to_str().unwrap(), id], command].concat())
        };

        lab.step("run: output and exit status");
        run(&["--rm"], "one", &["/bin/echo", "hello"]).ok().prints("hello");
        run(&["--rm"], "two", &["/bin/sh", "-c", "exit 9"]).run().code(9);

        lab.step("a task in the background, exec");
        run(&["--detach"], "three", &["/bin/sleep", "1000000"]).ok();
        ctr(&["tasks", "exec", "--exec-id", "e1", "three", "/bin/sh", "-c", "echo inside; exit 11"])
            .run()
            .code(11)
            .prints("inside");
        ctr(&["tasks", "exec", "--exec-id", "e2", "--user", "1000", "three", "/bin/id", "-u"])
            .ok()
            .prints("1000");
        ctr(&["tasks", "exec", "--exec-id", "e3", "--cwd", "/tmp", "three", "/bin/pwd"]).ok().prints("/tmp");
        ctr(&["tasks", "exec", "--exec-id", "e4", "three", "/no/such"])
            .run()
            .code(1)
            .says("no such file or directory");

        lab.step("pause and resume");
        ctr(&["tasks", "pause", "three"]).ok();
        assert!(ctr(&["tasks", "ls"]).ok().stdout.contains("PAUSED"));
        ctr(&["tasks", "exec", "--exec-id", "e5", "three", "/bin/true"]).run().code(1).says("paused");
        ctr(&["tasks", "resume", "three"]).ok();

        lab.step("ps and metrics");
        let listed = ctr(&["tasks", "ps", "three"]).ok().stdout;
        assert_eq!(listed.lines().count(), 2, "{listed}");
        let metrics = ctr(&["tasks", "metrics", "--format=json", "three"]).ok().stdout;
        assert!(metrics.contains("pids"), "{metrics}");

        lab.step("kill and delete");
        ctr(&["tasks", "kill", "--signal=SIGKILL", "three"]).ok();
        hang::eventually("the task to stop", || ctr(&["tasks", "ls"]).ok().stdout.contains("STOPPED"));
        ctr(&["tasks", "delete", "three"]).ok().says("exit code 137");
        ctr(&["containers", "delete", "three"]).ok();
        assert_eq!(ctr(&["tasks", "ls", "--quiet"]).ok().stdout, "");

        lab.step("a program that is missing");
        run(&["--rm"], "four", &["/no/such"]).run().code(1).says("no such file or directory");
        containerd.stop();
    }
}
