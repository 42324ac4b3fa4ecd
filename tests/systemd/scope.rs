//! A container in a scope: its bundle, and what systemd and the control files say about it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::json;
use testkit::hang::eventually;
use testkit::{Cmd, Config, Container, Lab, hierarchy, partner, process};

static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// A container whose unit nobody else has.
pub(crate) struct Scope<'lab> {
    lab: &'lab Lab,
    slice: String,
    name: String,
    pub(crate) container: Container<'lab>,
}

/// Held by a test while it needs systemd, so that none restarts it for another.
static SYSTEMD: RwLock<()> = RwLock::new(());

/// systemd, for a test that leaves it running; else it is said that the test has nothing to run.
pub(crate) fn systemd() -> Option<RwLockReadGuard<'static, ()>> {
    is_pid_1().then(|| SYSTEMD.read().unwrap_or_else(PoisonError::into_inner))
}

/// systemd, for a test that restarts it or its bus.
pub(crate) fn systemd_alone() -> Option<RwLockWriteGuard<'static, ()>> {
    is_pid_1().then(|| SYSTEMD.write().unwrap_or_else(PoisonError::into_inner))
}

fn is_pid_1() -> bool {
    let is_here = PathBuf::from("/run/systemd/system").is_dir();
    if !is_here {
        partner::not_run("systemd is not PID 1 here");
    }
    is_here
}

impl<'lab> Scope<'lab> {
    /// A bundle whose unit is in `sluicetest.slice`.
    pub(crate) fn bundle(lab: &'lab Lab, config: &Config) -> Self {
        Self::bundle_in(lab, "sluicetest.slice", config)
    }

    /// A bundle whose unit is in this slice.
    pub(crate) fn bundle_in(lab: &'lab Lab, slice: &str, config: &Config) -> Self {
        let name = format!("{}-{}", std::process::id(), SEQUENCE.fetch_add(1, Ordering::Relaxed));
        let path = json!(format!("{slice}:st:{name}"));
        let container = lab.bundle(&config.clone().set("/linux/cgroupsPath", path));
        Self { lab, slice: slice.to_owned(), name, container }
    }

    /// The same bundle with this `cgroupsPath`, which names somebody else's unit.
    pub(crate) fn bundle_at(lab: &'lab Lab, path: &str) -> Self {
        let container = lab.bundle(&Config::new().set("/linux/cgroupsPath", json!(path)));
        Self { lab, slice: String::new(), name: String::new(), container }
    }

    /// A container that sleeps.
    pub(crate) fn sleeper(lab: &'lab Lab, config: &Config) -> Self {
        let scope = Self::bundle(lab, config);
        scope.create().ok();
        scope.container.start().ok();
        let pid = scope.container.pid();
        eventually("init to sleep", || process::status_line(pid, "Name") == "sleep");
        scope
    }

    /// `--systemd-cgroup create`
    pub(crate) fn create(&self) -> Cmd {
        self.with_systemd("create")
    }

    /// `--systemd-cgroup run`
    pub(crate) fn run(&self) -> Cmd {
        self.with_systemd("run")
    }

    fn with_systemd(&self, verb: &str) -> Cmd {
        let bundle = self.container.bundle().display().to_string();
        self.lab.rt(&["--systemd-cgroup", verb, "--bundle", &bundle, self.container.id()])
    }

    pub(crate) fn unit(&self) -> String {
        format!("st-{}.scope", self.name)
    }

    /// Its group, such as `/a.slice/a-b.slice/st-1.scope`; `above` are the slices above its own.
    pub(crate) fn group(&self, above: &str) -> String {
        format!("{above}/{}/{}", self.slice, self.unit())
    }

    /// A control file of its group.
    pub(crate) fn read(&self, controller: &str, file: &str) -> String {
        let path = hierarchy::directory(controller, &self.group("")).join(file);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// A property of its unit, as systemd tells it.
    pub(crate) fn property(&self, name: &str) -> String {
        show(self.lab, &self.unit(), name)
    }
}

/// A property of a unit.
pub(crate) fn show(lab: &Lab, unit: &str, name: &str) -> String {
    lab.program("systemctl").args(["show", "--value", "--property", name, unit]).ok().stdout.trim().to_owned()
}
