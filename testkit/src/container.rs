//! One container of a lab: its bundle and a method per verb.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::command::{Cmd, Output};
use crate::config::Config;
use crate::hang::eventually;
use crate::hierarchy;
use crate::lab::Lab;
use crate::rootfs;

static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// A bundle and the id under which the runtime knows it.
#[derive(Debug)]
pub struct Container<'lab> {
    lab: &'lab Lab,
    id: String,
    bundle: PathBuf,
}

impl<'lab> Container<'lab> {
    /// Writes the bundle: busybox root and `config.json`, with a cgroup below the lab's.
    #[track_caller]
    pub(crate) fn new(lab: &'lab Lab, config: &Config) -> Self {
        let id = format!("c{}-{}", std::process::id(), SEQUENCE.fetch_add(1, Ordering::Relaxed));
        let bundle = lab.path(&id);
        rootfs::build(&bundle.join("rootfs"));
        let container = Self { lab, id, bundle };
        let has_path = config.value().pointer("/linux/cgroupsPath").is_some();
        let path = json!(container.group());
        container.write_config(&if has_path {
            config.clone()
        } else {
            config.clone().set("/linux/cgroupsPath", path)
        });
        container
    }

    /// Replaces `config.json` as it stands, without adding a cgroup path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&self, config: &Config) {
        self.lab.write(&format!("{}/config.json", self.id), &config.value().to_string());
    }

    /// Id of the container.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Directory of the bundle.
    #[must_use]
    pub fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// A path inside the root file system, seen from the host.
    #[must_use]
    pub fn rootfs(&self, path: &str) -> PathBuf {
        self.bundle.join("rootfs").join(path.trim_start_matches('/'))
    }

    /// The container's group, such as `/sluice-test-123-0/c123-0`.
    #[must_use]
    pub fn group(&self) -> String {
        format!("{}/{}", self.lab.group(), self.id)
    }

    /// Path of a control file of the container's group.
    #[must_use]
    pub fn control(&self, controller: &str, file: &str) -> PathBuf {
        hierarchy::directory(controller, &self.group()).join(file)
    }

    /// Content of a control file, without white space at its ends.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read_control(&self, controller: &str, file: &str) -> String {
        let path = self.control(controller, file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    }

    /// `verb FLAGS... ID ARGUMENTS...`
    #[must_use]
    pub fn verb(&self, verb: &str, flags: &[&str], arguments: &[&str]) -> Cmd {
        self.lab.rt(&[verb]).args(flags).args([&self.id]).args(arguments)
    }

    /// `create --bundle ... FLAGS... ID`
    #[must_use]
    pub fn create_with(&self, flags: &[&str]) -> Cmd {
        self.verb("create", &[&["--bundle", &self.bundle.display().to_string()], flags].concat(), &[])
    }

    /// `run --bundle ... FLAGS... ID`
    #[must_use]
    pub fn run_with(&self, flags: &[&str]) -> Cmd {
        self.verb("run", &[&["--bundle", &self.bundle.display().to_string()], flags].concat(), &[])
    }

    /// `exec FLAGS... ID ARGUMENTS...`
    #[must_use]
    pub fn exec_with(&self, flags: &[&str], arguments: &[&str]) -> Cmd {
        self.verb("exec", flags, arguments)
    }

    /// Runs `create`.
    #[track_caller]
    pub fn create(&self) -> Output {
        self.create_with(&[]).run()
    }

    /// Runs `start`.
    #[track_caller]
    pub fn start(&self) -> Output {
        self.verb("start", &[], &[]).run()
    }

    /// Runs `run` in the foreground.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.run_with(&[]).run()
    }

    /// Runs `exec` with these arguments.
    #[track_caller]
    pub fn exec(&self, arguments: &[&str]) -> Output {
        self.exec_with(&[], arguments).run()
    }

    /// Runs a shell script by `exec` and returns what it printed.
    ///
    /// # Panics
    /// When it does not end with 0.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        self.exec(&["sh", "-c", script]).ok().stdout.trim().to_owned()
    }

    /// Runs `kill ID SIGNAL`.
    #[track_caller]
    pub fn kill(&self, signal: &str) -> Output {
        self.verb("kill", &[], &[signal]).run()
    }

    /// Runs `pause`.
    #[track_caller]
    pub fn pause(&self) -> Output {
        self.verb("pause", &[], &[]).run()
    }

    /// Runs `resume`.
    #[track_caller]
    pub fn resume(&self) -> Output {
        self.verb("resume", &[], &[]).run()
    }

    /// Runs `delete`.
    #[track_caller]
    pub fn delete(&self) -> Output {
        self.verb("delete", &[], &[]).run()
    }

    /// Runs `delete --force`.
    #[track_caller]
    pub fn delete_force(&self) -> Output {
        self.verb("delete", &["--force"], &[]).run()
    }

    /// What `state` prints.
    ///
    /// # Panics
    /// When `state` ends with an error.
    #[must_use]
    #[track_caller]
    pub fn state(&self) -> Value {
        self.verb("state", &[], &[]).ok().json()
    }

    /// The status that `state` prints.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Pid of init on the host; 0 when stopped.
    ///
    /// # Panics
    /// When `state` has none.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.state()["pid"].as_i64().unwrap()).unwrap()
    }

    /// Polls `state` until it says `status`.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn wait_status(&self, status: &str) {
        eventually(&format!("{} to be {status}", self.id), || self.status() == status);
    }

    /// Sends SIGKILL and waits until the container is stopped.
    ///
    /// # Panics
    /// When the runtime refuses or the container does not stop.
    #[track_caller]
    pub fn stop(&self) {
        self.kill("KILL").ok();
        self.wait_status("stopped");
    }
}
