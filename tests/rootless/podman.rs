//! podman of a user: it calls the runtime inside of a user namespace of its own, as uid 0.

use testkit::command::{Cmd, Output};
use testkit::{Lab, conformance, require_partner};

use crate::user::User;

const IMAGE: &str = "localhost/busybox:test";

/// podman with a storage of the lab.
struct Podman<'a> {
    user: &'a User<'a>,
    directory: String,
}

impl<'a> Podman<'a> {
    fn new(lab: &Lab, user: &'a User<'a>) -> Self {
        let archive = lab.image();
        let podman = Self { user, directory: user.directory("pm").display().to_string() };
        podman.ok(&["import", &archive.display().to_string(), IMAGE]);
        podman
    }

    fn cli(&self, arguments: &[&str]) -> Cmd {
        let below = |name: &str| format!("{}/{name}", self.directory);
        let (root, run, tmp, runtime) = (below("root"), below("run"), below("tmp"), self.user.binary());
        let own = ["podman", "--root", &root, "--runroot", &run, "--tmpdir", &tmp, "--runtime", &runtime];
        let how = ["--cgroup-manager=cgroupfs", "--events-backend=none", "--storage-driver=vfs"];
        self.user.delegated(&[&own[..], &how[..], arguments].concat())
    }

    fn ok(&self, arguments: &[&str]) -> Output {
        self.cli(arguments).ok()
    }

    fn run(&self, flags: &[&str], command: &[&str]) -> Cmd {
        self.cli(&[&["run", "--network=none"], flags, &[IMAGE], command].concat())
    }
}

impl Drop for Podman<'_> {
    /// The layers belong to delegated ids, which only podman's own namespace may remove; the last command ends the process
    /// that holds that namespace between two others.
    fn drop(&mut self) {
        let storage = format!("{}/root", self.directory);
        for words in [
            &["rm", "--all", "--force", "--time=0"][..],
            &["unshare", "rm", "-rf", &storage],
            &["system", "migrate"],
        ] {
            let _left = self.cli(words).run();
        }
    }
}

conformance! {
    fn a_container_of_a_users_podman_lives_through_its_commands(lab) {
        require_partner!("podman");
        let Some(user) = User::of(lab) else { return };
        let podman = Podman::new(lab, &user);

        lab.step("run");
        podman.run(&["--rm"], &["sh", "-c", "id -u; exit 42"]).run().code(42).prints("0");
        podman.run(&["--rm"], &["no-such-program"]).run().code(127);
        podman.run(&["--rm", "--user=5"], &["id", "-u"]).ok().prints("5");
        podman.run(&["--rm", "--userns=keep-id"], &["id", "-u"]).ok().prints(&user.uid.to_string());

        lab.step("exec and health check");
        let health = ["--health-cmd=test -e /tmp/well", "--health-interval=disable", "--health-retries=1"];
        podman.run(&[&["--detach", "--name=one"], &health[..]].concat(), &["sleep", "1000000"]).ok();
        podman.cli(&["exec", "one", "sh", "-c", "exit 7"]).run().code(7);
        podman.ok(&["exec", "--user=1000", "one", "id", "-u"]).prints("1000");
        podman.cli(&["healthcheck", "run", "one"]).run().code(1);
        podman.ok(&["exec", "one", "touch", "/tmp/well"]);
        podman.ok(&["healthcheck", "run", "one"]);

        lab.step("another container in its namespaces");
        let shared = ["--rm", "--pid=container:one", "--ipc=container:one", "--uts=container:one"];
        podman.run(&shared, &["cat", "/proc/1/comm"]).ok().prints("sleep");

        lab.step("pause, stop, rm");
        podman.ok(&["pause", "one"]);
        podman.ok(&["unpause", "one"]);
        podman.ok(&["stop", "--time=0", "one"]);
        podman.ok(&["rm", "one"]);
    }

    fn the_containers_of_a_users_pod_share_a_network(lab) {
        require_partner!("podman");
        let Some(user) = User::of(lab) else { return };
        let podman = Podman::new(lab, &user);
        let infra = ["--infra-image", IMAGE, "--infra-command=sleep 1000000", "--infra-name=infra"];
        let create = ["pod", "create", "--name=pod", "--network=none", "--share=ipc,net,uts"];
        podman.ok(&[&create[..], &infra].concat());
        podman.ok(&["pod", "start", "pod"]);
        let member = podman.ok(&["run", "--rm", "--pod=pod", IMAGE, "readlink", "/proc/self/ns/net"]);
        let pid = podman.ok(&["inspect", "--format={{.State.Pid}}", "infra"]).stdout.trim().parse().unwrap();
        member.prints(&testkit::process::namespace(pid, "net"));
        podman.ok(&["pod", "rm", "--force", "--time=0", "pod"]);
    }
}
