//! A private podman: own storage, no daemon, no network, limits given explicitly.

use crate::command::{Cmd, Output};
use crate::hang::eventually;
use crate::hierarchy;
use crate::lab::Lab;

/// Name of the image that every test runs.
pub const IMAGE: &str = "localhost/busybox:test";

/// Limits given to every container: without `CAP_SYS_RESOURCE` podman's own defaults are refused by the kernel.
const ULIMITS: [&str; 2] = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];

/// podman with the lab's runtime.
#[derive(Debug)]
pub struct Podman<'lab> {
    lab: &'lab Lab,
}

impl<'lab> Podman<'lab> {
    /// Prepares the storage and imports [`IMAGE`].
    ///
    /// # Panics
    /// When podman fails.
    #[must_use]
    #[track_caller]
    pub fn new(lab: &'lab Lab) -> Self {
        let podman = Self { lab };
        lab.write(
            "containers.conf",
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n",
        );
        podman.cli(&["import"]).args([lab.image()]).args([IMAGE]).ok();
        podman
    }

    /// `podman FLAGS ARGUMENTS...`
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Cmd {
        let path = |name: &str| self.lab.path(name).display().to_string();
        let cmd = self.lab.daemon("podman").env("CONTAINERS_CONF", self.lab.path("containers.conf")).args([
            "--root",
            &path("pm/root"),
            "--runroot",
            &path("pm/run"),
        ]);
        let cmd = cmd.args([
            "--tmpdir",
            &path("pm/tmp"),
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
        ]);
        cmd.args(["--runtime"]).args([self.lab.binary()]).args(arguments)
    }

    /// Runs `podman ARGUMENTS...` and asserts that it succeeds.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Output {
        self.cli(arguments).ok()
    }

    /// `podman run FLAGS... IMAGE COMMAND...` for a pod, which has network and parent group already.
    #[must_use]
    pub fn in_pod(&self, flags: &[&str], command: &[&str]) -> Cmd {
        self.cli(&["run"]).args(ULIMITS).args(flags).args([IMAGE]).args(command)
    }

    /// `podman run FLAGS... IMAGE COMMAND...` without network and below the lab's group.
    #[must_use]
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Cmd {
        let parent = format!("--cgroup-parent={}", self.lab.group());
        self.cli(&["run", "--network=none", &parent]).args(ULIMITS).args(flags).args([IMAGE]).args(command)
    }
}

impl Podman<'_> {
    /// Removes a group that podman makes itself and never removes: of its monitors (`conmon`) or of a pod (its id).
    ///
    /// # Panics
    /// When a process stays in it.
    #[track_caller]
    pub fn remove_left(&self, name: &str) {
        eventually(&format!("podman's group {name} to be removed"), || {
            let groups = hierarchy::existing(&format!("{}/{name}", self.lab.group()));
            groups.iter().for_each(|group| drop(std::fs::remove_dir(group)));
            groups.is_empty()
        });
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.ok(&["rm", "--force", "--all", "--time=0"]);
            self.remove_left("conmon");
        }
    }
}
