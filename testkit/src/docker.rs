//! A private dockerd with a containerd of its own; it touches neither network nor firewall of the host.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cgroup_driver::CgroupDriver;
use crate::command::{Cmd, Output, Running};
use crate::containerd::{Containerd, end, wait_socket};
use crate::docker_api::DockerApi;
use crate::hang::{eventually, eventually_some};
use crate::lab::Lab;
use crate::process;
use crate::systemd;

/// Name of the image that every test runs.
pub const IMAGE: &str = "busybox:test";

/// Where the containers of a dockerd live that is not told: in the driver's default slice.
const DEFAULT_SLICE: &str = "system.slice";

/// A running dockerd; containers are removed and both daemons stopped on drop.
#[derive(Debug)]
pub struct Docker<'lab> {
    lab: &'lab Lab,
    /// What `--cgroup-parent` says, if it is given.
    parent: Option<String>,
    daemon: Option<Running>,
    /// Its containerd.
    pub containerd: Containerd<'lab>,
}

impl<'lab> Docker<'lab> {
    /// Starts both daemons, with the lab's runtime configured under its own name and as the default, and imports [`IMAGE`].
    ///
    /// The cgroup driver is dockerd's default; containers live in the lab's group or slice.
    ///
    /// # Panics
    /// When a daemon ends or never answers.
    #[must_use]
    #[track_caller]
    pub fn start(lab: &'lab Lab) -> Self {
        let settings = json!({"runtimes": {"tested": {"path": lab.binary()}}, "default-runtime": "tested"});
        Self::launch(Containerd::start(lab), Some(lab.cgroup_parent()), &settings)
    }

    /// As [`Docker::start`] with a shim in the place of the stock one.
    ///
    /// # Panics
    /// As [`Docker::start`].
    #[must_use]
    #[track_caller]
    pub fn start_with_shim(lab: &'lab Lab, shim: &Path) -> Self {
        let settings = json!({"runtimes": {"tested": {"path": lab.binary()}}, "default-runtime": "tested"});
        Self::launch(Containerd::start_with_shim(lab, shim), Some(lab.cgroup_parent()), &settings)
    }

    /// The same with one line in `daemon.json`, that of the runtime `tested`, and with dockerd's own slice.
    ///
    /// Without systemd dockerd's own group would lie outside of the lab, so the lab's is given.
    ///
    /// # Panics
    /// When a daemon ends or never answers.
    #[must_use]
    #[track_caller]
    pub fn stock(lab: &'lab Lab) -> Self {
        let parent = (!lab.driver().is_systemd()).then(|| lab.cgroup_parent());
        Self::launch(Containerd::start(lab), parent, &json!({"runtimes": {"tested": {"path": lab.binary()}}}))
    }

    /// The same with these settings in `daemon.json` and no others; containers live in the lab's group or slice.
    ///
    /// # Panics
    /// When a daemon ends or never answers.
    #[must_use]
    #[track_caller]
    pub fn with(lab: &'lab Lab, settings: &Value) -> Self {
        Self::launch(Containerd::start(lab), Some(lab.cgroup_parent()), settings)
    }

    #[track_caller]
    fn launch(containerd: Containerd<'lab>, parent: Option<String>, settings: &Value) -> Self {
        let lab = containerd.lab();
        let mut docker = Self { lab, parent, daemon: None, containerd };
        docker.start_daemon(settings);
        let driver = docker.ok(&["info", "--format", "{{.CgroupDriver}}"]).stdout;
        lab.step(&format!("dockerd's default cgroup driver here: {}", driver.trim()));
        assert_eq!(driver.trim(), lab.driver().name());
        docker.cli(&["import"]).args([lab.image()]).args([IMAGE]).ok();
        docker
    }

    /// Starts dockerd with a `daemon.json` of these settings and no others; what is private is told by flags.
    ///
    /// # Panics
    /// When it ends or never answers.
    #[track_caller]
    pub fn start_daemon(&mut self, settings: &Value) {
        self.begin_daemon(settings);
        eventually("dockerd to serve", || self.cli(&["version"]).run().status.success());
    }

    /// The same without waiting until it serves: it listens, and something may keep it from more.
    ///
    /// # Panics
    /// When it ends or never listens.
    #[track_caller]
    pub fn begin_daemon(&mut self, settings: &Value) {
        let file = self.lab.write("daemon.json", &settings.to_string());
        let cmd = self.lab.daemon(dockerd()).args(["--config-file"]).args([file]).args(self.private());
        let daemon = cmd.spawn();
        wait_socket(&daemon, &self.socket());
        self.daemon = Some(daemon);
    }

    /// Flags for places of the lab's own and for leaving the host's network alone.
    fn private(&self) -> Vec<String> {
        let place = |flag: &str, name: &str| format!("--{flag}={}", self.lab.path(name).display());
        let mut flags = vec![
            place("data-root", "dk/root"),
            place("exec-root", "dk/exec"),
            place("pidfile", "dk.pid"),
            place("containerd", "ctd/sock"),
            format!("--host=unix://{}", self.socket().display()),
        ];
        let network = [
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            "--ip-forward=false",
            "--ip-masq=false",
        ];
        flags.extend(network.map(str::to_owned));
        flags.push(String::from("--shutdown-timeout=2"));
        flags.extend(self.parent.iter().map(|parent| format!("--cgroup-parent={parent}")));
        flags
    }

    /// Group that the driver should give a container by its id, from the root of the hierarchies.
    #[must_use]
    pub fn group_of(&self, id: &str) -> String {
        match self.lab.driver() {
            CgroupDriver::Cgroupfs => format!("{}/{id}", self.lab.group()),
            CgroupDriver::Systemd => {
                let slice = self.parent.as_deref().unwrap_or(DEFAULT_SLICE);
                format!("/{slice}/docker-{id}.scope")
            }
        }
    }

    fn socket(&self) -> PathBuf {
        self.lab.path("dk.sock")
    }

    /// Its HTTP interface.
    #[must_use]
    pub fn api(&self) -> DockerApi {
        DockerApi::at(&self.socket())
    }

    /// Pid of dockerd.
    ///
    /// # Panics
    /// When it was stopped.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.daemon.as_ref().unwrap().pid()
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
            if self.parent.is_none() {
                systemd::stop_scopes(self.lab, &self.lab.path("dk/root/containers"));
            }
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
