//! containerd with its stock shim: `ctr run --runc-binary`, with the groups of its default and with systemd's.

use std::path::PathBuf;

use testkit::command::Cmd;
use testkit::containerd::Containerd;
use testkit::{CgroupDriver, Lab, conformance, hang, hierarchy, partner, require_partner, rootfs, systemd};

/// `ctr`, and how it places its containers.
struct Ctr<'lab> {
    lab: &'lab Lab,
    containerd: Containerd<'lab>,
    driver: CgroupDriver,
    tree: PathBuf,
}

impl<'lab> Ctr<'lab> {
    fn new(lab: &'lab Lab, driver: CgroupDriver) -> Self {
        let tree = lab.path("tree");
        rootfs::build(&tree);
        lab.step(&format!("cgroup driver: {}", driver.name()));
        Self { lab, containerd: Containerd::start(lab), driver, tree }
    }

    fn cli(&self, arguments: &[&str]) -> Cmd {
        self.containerd.ctr("test").args(arguments)
    }

    fn run(&self, flags: &[&str], id: &str, command: &[&str]) -> Cmd {
        let cmd = self.cli(&["run", "--runc-binary"]).args([self.lab.binary()]);
        cmd.args([format!("--runc-root={}", self.lab.path("ctdrun").display())])
            .args(self.containerd.placement(self.driver, id))
            .args(["--env=PATH=/bin", "--rootfs"])
            .args(flags)
            .args([&self.tree])
            .args([id])
            .args(command)
    }

    fn exec(&self, flags: &[&str], command: &[&str]) -> Cmd {
        self.cli(&["tasks", "exec", "--exec-id=e"]).args(flags).args(["three"]).args(command)
    }
}

fn a_task_lives_through_its_commands(ctr: &Ctr<'_>) {
    let lab = ctr.lab;
    lab.step("run: output and exit status");
    ctr.run(&["--rm"], "one", &["/bin/echo", "hello"]).ok().prints("hello");
    ctr.run(&["--rm"], "two", &["/bin/sh", "-c", "exit 9"]).run().code(9);

    lab.step("a task in the background, exec");
    ctr.run(&["--detach"], "three", &["/bin/sleep", "1000000"]).ok();
    ctr.exec(&[], &["/bin/sh", "-c", "echo inside; exit 11"]).run().code(11).prints("inside");
    ctr.exec(&["--user=1000"], &["/bin/id", "-u"]).ok().prints("1000");
    ctr.exec(&["--cwd=/tmp"], &["/bin/pwd"]).ok().prints("/tmp");
    ctr.exec(&[], &["/no/such"]).run().code(1).says("no such file or directory");

    lab.step("pause and resume");
    ctr.cli(&["tasks", "pause", "three"]).ok();
    assert!(ctr.cli(&["tasks", "ls"]).ok().stdout.contains("PAUSED"));
    ctr.exec(&[], &["/bin/true"]).run().code(1).says("paused");
    ctr.cli(&["tasks", "resume", "three"]).ok();

    lab.step("ps and metrics");
    let listed = ctr.cli(&["tasks", "ps", "three"]).ok().stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let metrics = ctr.cli(&["tasks", "metrics", "--format=json", "three"]).ok().stdout;
    assert!(metrics.contains("pids"), "{metrics}");
}

fn a_task_ends(ctr: &Ctr<'_>) {
    ctr.lab.step("kill and delete");
    ctr.cli(&["tasks", "kill", "--signal=SIGKILL", "three"]).ok();
    hang::eventually("the task to stop", || ctr.cli(&["tasks", "ls"]).ok().stdout.contains("STOPPED"));
    ctr.cli(&["tasks", "delete", "three"]).ok().says("exit code 137");
    ctr.cli(&["containers", "delete", "three"]).ok();
    assert_eq!(ctr.cli(&["tasks", "ls", "--quiet"]).ok().stdout, "");

    ctr.lab.step("a program that is missing");
    ctr.run(&["--rm"], "four", &["/no/such"]).run().code(1).says("no such file or directory");
}

/// The group of the task `three`, as the kernel names it.
fn group_of_three(ctr: &Ctr<'_>) -> String {
    let listed = ctr.cli(&["tasks", "ls"]).ok().stdout;
    let line = listed.lines().find(|line| line.starts_with("three ")).unwrap();
    let pid = line.split_whitespace().nth(1).unwrap();
    hierarchy::group_in(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap(), "pids")
}

conformance! {
    fn a_task_lives_in_the_group_it_is_given(lab) {
        require_partner!("containerd");
        let mut ctr = Ctr::new(lab, CgroupDriver::Cgroupfs);
        a_task_lives_through_its_commands(&ctr);
        assert_eq!(group_of_three(&ctr), format!("{}/three", lab.group()));
        a_task_ends(&ctr);
        ctr.containerd.stop();
    }

    fn a_task_lives_in_a_scope_of_systemd(lab) {
        require_partner!("containerd");
        if !lab.driver().is_systemd() {
            partner::not_run("systemd with cgroup v2 is not the first process here");
            return;
        }
        let mut ctr = Ctr::new(lab, CgroupDriver::Systemd);
        a_task_lives_through_its_commands(&ctr);
        assert_eq!(group_of_three(&ctr), format!("/{}/ctr-three.scope", lab.slice()));
        assert_eq!(systemd::property(lab, "ctr-three.scope", "ActiveState"), "active");
        a_task_ends(&ctr);
        for name in ["one", "two", "three", "four"] {
            systemd::wait_gone(lab, &format!("ctr-{name}.scope"));
        }
        ctr.containerd.stop();
    }
}
