//! Containers through a private containerd, whose shim is the one under test.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use testkit::command::{Cmd, Output};
use testkit::containerd::Containerd;
use testkit::hang::{eventually, eventually_some};
use testkit::runtime::Runtime;
use testkit::shim::Shim;
use testkit::{Lab, partner, process, rootfs};

/// containerd's namespace of these tests.
pub(crate) const NAMESPACE: &str = "test";

/// A lab for a shim; `None`, said aloud, where something is missing.
pub(crate) fn lab() -> Option<Lab> {
    if !partner::is_root() {
        return None;
    }
    partner::find("ctr")?;
    // What dockerd is told to be its runtime; it is asked for its version only.
    Some(Lab::new(Runtime::Runc, partner::find("runc")?))
}

/// A containerd, and the root file system of its containers.
pub(crate) struct Ctr<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) containerd: Containerd<'lab>,
    tree: PathBuf,
}

impl<'lab> Ctr<'lab> {
    /// With `shim` in the place of the stock one.
    pub(crate) fn start(lab: &'lab Lab, shim: &Path) -> Self {
        let tree = lab.path("tree");
        rootfs::build(&tree);
        Self { lab, containerd: Containerd::start_with_shim(lab, shim), tree }
    }

    /// `ctr ARGUMENTS...`
    pub(crate) fn cli(&self, arguments: &[&str]) -> Cmd {
        self.containerd.ctr(NAMESPACE).args(arguments)
    }

    /// `ctr run FLAGS... ID COMMAND...`
    pub(crate) fn run(&self, flags: &[&str], id: &str, command: &[&str]) -> Cmd {
        self.cli(&["run"])
            .args(self.containerd.placement(self.lab.driver(), id))
            // Several labs at a time have containers of one name.
            .args([format!("--runc-root={}", self.lab.path("state").display())])
            .args(["--env=PATH=/bin", "--rootfs"])
            .args(flags)
            .args([&self.tree])
            .args([id])
            .args(command)
    }

    /// A container that sleeps.
    pub(crate) fn sleeper(&self, flags: &[&str], id: &str) {
        self.run(&[&["--detach"], flags].concat(), id, &["/bin/sleep", "1000000"]).ok();
    }

    /// `ctr tasks exec --exec-id EXEC ID COMMAND...`
    pub(crate) fn exec(&self, id: &str, exec: &str, command: &[&str]) -> Cmd {
        self.cli(&["tasks", "exec", "--exec-id", exec, id]).args(command)
    }

    /// `ctr tasks kill FLAGS... ID`
    pub(crate) fn kill(&self, flags: &[&str], id: &str) -> Output {
        self.cli(&["tasks", "kill"]).args(flags).args([id]).run()
    }

    /// The control group of a container.
    pub(crate) fn group(&self, id: &str) -> String {
        self.containerd.group_of(self.lab.driver(), id)
    }

    /// The bundle of a container.
    pub(crate) fn bundle(&self, id: &str) -> PathBuf {
        bundle(self.lab, NAMESPACE, id)
    }

    /// Takes everything down; the containers are gone already.
    pub(crate) fn end(self) {
        let Self { lab, containerd, .. } = self;
        end_shims(lab);
        drop(containerd);
        lab.assert_nothing_left();
    }

    /// Ends a container and takes it away.
    pub(crate) fn remove(&self, id: &str) {
        self.cli(&["tasks", "delete", "--force", id]).ok();
        self.cli(&["containers", "delete", id]).ok();
    }
}

/// What the runtime keeps of a container, by the options that `ctr` is given here.
pub(crate) fn state(lab: &Lab, id: &str) -> PathBuf {
    lab.path("state").join(NAMESPACE).join(id)
}

/// The bundle of a container of a private containerd.
pub(crate) fn bundle(lab: &Lab, namespace: &str, id: &str) -> PathBuf {
    lab.path("ctd/state/io.containerd.runtime.v2.task").join(namespace).join(id)
}

/// The process that serves a container: the one whose working directory is its bundle.
pub(crate) fn shim_of(bundle: &Path) -> i32 {
    eventually_some(&format!("a shim in {}", bundle.display()), || {
        let serves = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == bundle);
        process::all().into_iter().find(serves)
    })
}

/// Waits until no shim is left: each ends by itself when its containers are gone and its events told.
pub(crate) fn end_shims(lab: &Lab) {
    let is_shim = |pid: &i32| process::status_line(*pid, "Name").starts_with("containerd-shim");
    eventually("the shims to end", || {
        !lab.processes().iter().any(|pid| process::is_alive(*pid) && is_shim(pid))
    });
}

/// Kills a shim, and comes back when it is gone.
pub(crate) fn kill_shim(bundle: &Path) {
    let pid = shim_of(bundle);
    process::signal(pid, Signal::KILL);
    eventually("the shim to be gone", || !process::is_alive(pid));
}

/// Ours, or `None` after saying aloud that it is not built.
pub(crate) fn ours() -> Option<PathBuf> {
    Shim::Sluice.find()
}
