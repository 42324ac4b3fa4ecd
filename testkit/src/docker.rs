//! A private dockerd with a containerd of its own; it touches neither network nor firewall of the host.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::{Cmd, Output, Running};
use crate::containerd::{Containerd, end, wait_socket};
use crate::hang::{eventually, eventually_some};
use crate::lab::Lab;
use crate::process;

/// Name of the image that every test runs.
pub const IMAGE: &str = "busybox:test";

/// A running dockerd; containers are removed and both daemons stopped on drop.
#[derive(Debug)]
pub struct Docker<'lab> {
    lab: &'lab Lab,
    daemon: Option<Running>,
    _containerd: Containerd<'lab>,
}

impl<'lab> Docker<'lab> {
    /// Starts both daemons, with the lab's runtime configured under its own name and as the default, and imports [`IMAGE`].
    ///
    /// # Panics
    /// When a daemon ends or never answers.
    #[must_use]
    #[track_caller]
    pub fn start(lab: &'lab Lab) -> Self {
        let containerd = Containerd::start(lab);
        let mut docker = Self { lab, daemon: None, _containerd: containerd };
        docker.start_daemon(
            &json!({"runtimes": {"tested": {"path": lab.binary()}}, "default-runtime": "tested"}),
        );
        docker.cli(&["import"]).args([lab.image()]).args([IMAGE]).ok();
        docker
    }

    /// Starts dockerd with these settings beside the private ones.
    ///
    /// # Panics
    /// When it ends or never answers.
    #[track_caller]
    pub fn start_daemon(&mut self, settings: &Value) {
        let mut config = self.settings();
        config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let file = self.lab.write("daemon.json", &config.to_string());
        let daemon = self.lab.daemon(dockerd()).args(["--config-file"]).args([file]).spawn();
        wait_socket(&daemon, &self.socket());
        self.daemon = Some(daemon);
        eventually("dockerd to serve", || self.cli(&["version"]).run().status.success());
    }

    fn settings(&self) -> Value {
        json!({
            "data-root": self.lab.path("dk/root"),
            "exec-root": self.lab.path("dk/exec"),
            "pidfile": self.lab.path("dk.pid"),
            "hosts": [format!("unix://{}", self.socket().display())],
            "containerd": self.lab.path("ctd/sock"),
            "iptables": false, "ip6tables": false, "bridge": "none", "ip-forward": false, "ip-masq": false,
            "cgroup-parent": self.lab.group(),
            "shutdown-timeout": 2,
        })
    }

    fn socket(&self) -> PathBuf {
        self.lab.path("dk.sock")
    }

    /// Ends dockerd by a signal: TERM stops the containers unless live-restore is on, KILL leaves all as it is.
    ///
    /// # Panics
    /// When it does not end within the hang guard.
    #[track_caller]
    pub fn stop_daemon(&mut self, signal: Signal) {
        let daemon = self.daemon.take().unwrap();
        process::signal(daemon.pid(), signal);
        daemon.wait();
        let _left_by_kill = std::fs::remove_file(self.lab.path("dk.pid"));
    }

    /// `docker ARGUMENTS...`
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Cmd {
        let cmd = self.lab.program(client()).args(arguments);
        cmd.env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.lab.path("dk.conf"))
    }

    /// Runs `docker ARGUMENTS...` and asserts that it succeeds.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Output {
        self.cli(arguments).ok()
    }

    /// `docker run -d --name NAME FLAGS... IMAGE sleep 1000000`
    #[track_caller]
    pub fn sleeper(&self, name: &str, flags: &[&str]) {
        let arguments = [&["run", "-d", "--name", name], flags, &[IMAGE, "sleep", "1000000"]].concat();
        self.ok(&arguments);
    }

    /// `docker inspect NAME`, the one object.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        self.ok(&["inspect", name]).json()[0].take()
    }

    /// Polls `docker inspect` until the value at `pointer` is `expected`.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn wait_inspect(&self, name: &str, pointer: &str, expected: &Value) -> Value {
        eventually_some(&format!("{name}{pointer} = {expected}"), || {
            let found = self.inspect(name);
            (found.pointer(pointer) == Some(expected)).then_some(found)
        })
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.daemon.as_ref().map(Running::stderr).unwrap_or_default();
            log.lines().filter(|line| line.contains("level=error")).for_each(|line| self.lab.step(line));
            return;
        }
        if let Some(daemon) = self.daemon.take() {
            end(daemon);
        }
        // With live-restore dockerd leaves its data root bind-mounted onto itself.
        let _not_mounted =
            rustix::mount::unmount(self.lab.path("dk/root"), rustix::mount::UnmountFlags::DETACH);
    }
}

fn dockerd() -> &'static str {
    "dockerd"
}

fn client() -> &'static str {
    if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" }
}
