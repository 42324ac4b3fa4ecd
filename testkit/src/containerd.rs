//! A private containerd: own socket, own directories, the plugins a test needs.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::cgroup_driver::CgroupDriver;
use crate::command::{Cmd, Running};
use crate::hang::eventually;
use crate::lab::Lab;
use crate::process;

/// A running containerd; stopped on drop.
#[derive(Debug)]
pub struct Containerd<'lab> {
    lab: &'lab Lab,
    /// Found before the stock one under its name.
    shim: Option<PathBuf>,
    config: String,
    daemon: Option<Running>,
}

impl<'lab> Containerd<'lab> {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it ends or never answers.
    #[must_use]
    #[track_caller]
    pub fn start(lab: &'lab Lab) -> Self {
        let mut containerd = Self { lab, shim: None, config: without_cri(), daemon: None };
        containerd.start_again();
        containerd
    }

    /// The same with a shim that takes the place of the stock one: it stands first in containerd's `PATH`.
    ///
    /// # Panics
    /// As [`Containerd::start`].
    #[must_use]
    #[track_caller]
    pub fn start_with_shim(lab: &'lab Lab, shim: &Path) -> Self {
        let mut containerd = Self { lab, shim: None, config: without_cri(), daemon: None };
        containerd.set_shim(shim);
        containerd.start_again();
        containerd
    }

    /// With the CRI, which kubelets speak. `config` are its tables in the format's version 2; `ours` is found in
    /// containerd's `PATH` by its own name, beside the stock shim.
    ///
    /// # Panics
    /// As [`Containerd::start`].
    #[must_use]
    #[track_caller]
    pub fn start_with_cri(lab: &'lab Lab, ours: &Path, config: &str) -> Self {
        let config = format!("{}{config}", CONFIG.replace("WITHOUT", ""));
        let mut containerd = Self { lab, shim: None, config, daemon: None };
        containerd.put_shim(crate::shim::Shim::Sluice.name(), ours);
        containerd.start_again();
        containerd
    }

    /// Puts another shim into the place; shims that run stay what they are.
    ///
    /// # Panics
    /// When the lab cannot be written to.
    pub fn set_shim(&mut self, shim: &Path) {
        self.put_shim(crate::shim::Shim::Stock.name(), shim);
    }

    /// Has containerd find `shim` under `name` before anything else of that name.
    fn put_shim(&mut self, name: &str, shim: &Path) {
        let folder = self.lab.path("shims");
        std::fs::create_dir_all(&folder).unwrap();
        let place = folder.join(name);
        let _first = std::fs::remove_file(&place);
        std::os::unix::fs::symlink(shim, place).unwrap();
        self.shim = Some(folder);
    }

    /// Starts it, for the first time or after [`Containerd::stop`] or [`Containerd::kill`].
    ///
    /// # Panics
    /// As [`Containerd::start`].
    #[track_caller]
    pub fn start_again(&mut self) {
        let directory = self.lab.path("ctd");
        let config = self.config.replace("DIRECTORY", &directory.display().to_string());
        let file = self.lab.write("containerd.toml", &config);
        std::fs::create_dir_all(&directory).unwrap();
        let mut daemon = self.lab.daemon("containerd").args(["--config"]).args([file]);
        if let Some(shims) = &self.shim {
            let path = std::env::var_os("PATH").unwrap_or_default();
            daemon = daemon.env("PATH", format!("{}:{}", shims.display(), path.display()));
        }
        let daemon = daemon.spawn();
        wait_socket(&daemon, &self.socket());
        self.daemon = Some(daemon);
    }

    /// Kills the daemon; shims stay.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill(&mut self) {
        let daemon = self.daemon.take().unwrap();
        process::signal(daemon.pid(), Signal::KILL);
        daemon.wait();
    }

    /// The lab it belongs to.
    #[must_use]
    pub fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// Path of the gRPC socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.lab.path("ctd/sock")
    }

    /// `ctr -a SOCKET -n NAMESPACE`
    #[must_use]
    pub fn ctr(&self, namespace: &str) -> Cmd {
        self.lab.program("ctr").args(["-a"]).args([self.socket()]).args(["-n", namespace])
    }

    /// Flags of `ctr run` that put a container in the lab's group, or with systemd's driver in the lab's slice.
    ///
    /// `ctr` has no default that follows the host.
    #[must_use]
    pub fn placement(&self, driver: CgroupDriver, id: &str) -> Vec<String> {
        match driver {
            CgroupDriver::Cgroupfs => vec![format!("--cgroup={}/{id}", self.lab.group())],
            CgroupDriver::Systemd => {
                let group = format!("--cgroup={}:ctr:{id}", self.lab.slice());
                vec![String::from("--runc-systemd-cgroup"), group]
            }
        }
    }

    /// The group of a container that was put there by [`Self::placement`].
    #[must_use]
    pub fn group_of(&self, driver: CgroupDriver, id: &str) -> String {
        match driver {
            CgroupDriver::Cgroupfs => format!("{}/{id}", self.lab.group()),
            CgroupDriver::Systemd => format!("/{}/ctr-{id}.scope", self.lab.slice()),
        }
    }

    /// Ends the daemon; shims stay.
    pub fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            end(daemon);
        }
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until somebody listens on `socket`.
///
/// # Panics
/// When `daemon` ends or the hang guard strikes.
#[track_caller]
pub(crate) fn wait_socket(daemon: &Running, socket: &Path) {
    eventually(&format!("{} to answer", socket.display()), || {
        assert!(!daemon.has_ended(), "daemon ended:\n{}{}", daemon.stdout(), daemon.stderr());
        UnixStream::connect(socket).is_ok()
    });
}

/// Asks a daemon to end and waits for it.
pub(crate) fn end(daemon: Running) {
    process::signal(daemon.pid(), Signal::TERM);
    if std::thread::panicking() {
        drop(daemon);
    } else {
        daemon.wait();
    }
}

fn without_cri() -> String {
    CONFIG.replace("WITHOUT", r#""io.containerd.grpc.v1.cri", "#)
}

const CONFIG: &str = r#"
version = 2
root = "DIRECTORY/root"
state = "DIRECTORY/state"
disabled_plugins = [
  WITHOUT"io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "DIRECTORY/sock"
"#;
