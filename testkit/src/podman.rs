//! A private podman: own storage, no daemon, no network, limits given explicitly.

use crate::cgroup_driver::CgroupDriver;
use crate::command::{Cmd, Output};
use crate::hang::eventually;
use crate::hierarchy;
use crate::lab::Lab;
use crate::systemd;

/// Name of the image that every test runs.
pub const IMAGE: &str = "localhost/busybox:test";

/// Limits given to every container: without `CAP_SYS_RESOURCE` podman's own defaults are refused by the kernel.
const ULIMITS: [&str; 2] = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];

/// Where the containers and pods of root's podman live when it is not told.
const DEFAULT_SLICE: &str = "machine.slice";

/// podman with the lab's runtime.
#[derive(Debug)]
pub struct Podman<'lab> {
    lab: &'lab Lab,
    /// `--cgroup-parent` of containers and pods, if it is given.
    parent: Option<String>,
}

impl<'lab> Podman<'lab> {
    /// Prepares the storage and imports [`IMAGE`]; containers live in the lab's group or slice.
    ///
    /// # Panics
    /// When podman fails, or does not use the cgroup driver that is its default.
    #[must_use]
    #[track_caller]
    pub fn new(lab: &'lab Lab) -> Self {
        Self::prepare(lab, Some(lab.cgroup_parent()))
    }

    /// The same with podman's own slice; without systemd its own group would lie outside of the lab, so that is given.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    #[track_caller]
    pub fn stock(lab: &'lab Lab) -> Self {
        Self::prepare(lab, (!lab.driver().is_systemd()).then(|| lab.cgroup_parent()))
    }

    #[track_caller]
    fn prepare(lab: &'lab Lab, parent: Option<String>) -> Self {
        let podman = Self { lab, parent };
        lab.write(
            "containers.conf",
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n",
        );
        let driver = podman.ok(&["info", "--format={{.Host.CgroupManager}}"]).stdout;
        lab.step(&format!("podman's default cgroup driver here: {}", driver.trim()));
        assert_eq!(driver.trim(), lab.driver().name());
        podman.cli(&["import"]).args([lab.image()]).args([IMAGE]).ok();
        podman
    }

    /// `podman FLAGS ARGUMENTS...`
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Cmd {
        let conf = self.lab.path("containers.conf");
        let mut cmd = self.lab.daemon("podman").env("CONTAINERS_CONF", conf);
        for (flag, name) in [("--root", "pm/root"), ("--runroot", "pm/run"), ("--tmpdir", "pm/tmp")] {
            cmd = cmd.args([flag]).args([self.lab.path(name)]);
        }
        cmd.args(["--events-backend=none", "--runtime"]).args([self.lab.binary()]).args(arguments)
    }

    /// `--cgroup-parent=...`, or nothing where podman's own is used: for `podman run` and `podman pod create`.
    #[must_use]
    pub fn placement(&self) -> Vec<String> {
        self.parent.iter().map(|parent| format!("--cgroup-parent={parent}")).collect()
    }

    /// Group that the driver should give a container by its id, from the root of the hierarchies.
    #[must_use]
    pub fn group_of(&self, id: &str) -> String {
        match self.lab.driver() {
            CgroupDriver::Cgroupfs => format!("{}/libpod-{id}", self.lab.group()),
            CgroupDriver::Systemd => format!("/{}/libpod-{id}.scope", self.slice()),
        }
    }

    /// The same for a container in a pod, which has a group, or a slice below podman's, of its own.
    #[must_use]
    pub fn group_in_pod(&self, pod: &str, id: &str) -> String {
        match self.lab.driver() {
            CgroupDriver::Cgroupfs => format!("{}/{pod}/libpod-{id}", self.lab.group()),
            CgroupDriver::Systemd => {
                let outer = self.slice();
                let inner = format!("{}-libpod_pod_{pod}.slice", outer.trim_end_matches(".slice"));
                format!("/{outer}/{inner}/libpod-{id}.scope")
            }
        }
    }

    fn slice(&self) -> &str {
        self.parent.as_deref().unwrap_or(DEFAULT_SLICE)
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

    /// `podman run FLAGS... IMAGE COMMAND...` without network.
    #[must_use]
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Cmd {
        let cmd = self.cli(&["run", "--network=none"]).args(self.placement()).args(ULIMITS);
        cmd.args(flags).args([IMAGE]).args(command)
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
            eventually("podman's scopes to be gone", || systemd::below(&self.lab.slice()).is_empty());
        } else if self.parent.is_none() {
            for storage in ["pm/root/overlay-containers", "pm/root/vfs-containers"] {
                systemd::stop_scopes(self.lab, &self.lab.path(storage));
            }
        }
    }
}
