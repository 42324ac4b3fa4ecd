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
        let directory = lab.path("ctd");
        let config = CONFIG.replace("DIRECTORY", &directory.display().to_string());
        let file = lab.write("containerd.toml", &config);
        std::fs::create_dir_all(&directory).unwrap();
        let daemon = lab.daemon("containerd").args(["--config"]).args([file]).spawn();
        let containerd = Self { lab, daemon: Some(daemon) };
        wait_socket(containerd.daemon.as_ref().unwrap(), &containerd.socket());
        containerd
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

const CONFIG: &str = r#"
version = 2
root = "DIRECTORY/root"
state = "DIRECTORY/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "DIRECTORY/sock"
"#;
