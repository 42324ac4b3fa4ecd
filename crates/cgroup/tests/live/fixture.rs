//! Groups and processes that go away with the test.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use cgroup::{Cgroup, Kind, Layout, resolve};
use testkit::hang::GUARD;

/// Groups of one test.
pub(crate) struct Fixture {
    pub(crate) cgroup: Cgroup,
    top: Cgroup,
    children: Vec<Child>,
}

/// Whether the test can run here. Says why not, and does not accept that in continuous integration.
#[expect(clippy::disallowed_methods, reason = "the test asks where it runs")]
pub(crate) fn is_possible() -> bool {
    if rustix::process::geteuid().is_root() && Layout::discover().is_ok() {
        return true;
    }
    assert!(std::env::var("CI").is_err(), "the tests need root and a cgroup hierarchy");
    eprintln!("skipped: needs root and a cgroup hierarchy");
    false
}

impl Fixture {
    /// Makes the groups `/sluice-test-PID-NAME/a`.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let fixture = Self::not_created(name)?;
        fixture.cgroup.create().unwrap();
        Some(fixture)
    }

    pub(crate) fn not_created(name: &str) -> Option<Self> {
        if !is_possible() {
            return None;
        }
        let layout = Layout::discover().unwrap();
        let top = format!("/sluice-test-{}-{name}", std::process::id());
        let at = |path: &str| Cgroup::new(resolve(&layout, Some(path), "unused").unwrap());
        Some(Self { cgroup: at(&format!("{top}/a")), top: at(&top), children: Vec::new() })
    }

    /// The group above that of the test.
    pub(crate) fn parent(&self) -> &Cgroup {
        &self.top
    }

    /// Starts a shell that is in all groups before its first command.
    pub(crate) fn shell(&mut self, script: &str) -> i32 {
        let join: String = self
            .cgroup
            .paths()
            .all()
            .map(|path| {
                let file = if path.join("tasks").exists() { "tasks" } else { "cgroup.procs" };
                format!("echo 0 > {} && ", path.join(file).display())
            })
            .collect();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{join} {script}")]);
        let child = command.spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        self.children.push(child);
        pid
    }

    /// Starts a process that sleeps for long, and waits until it is in all groups.
    pub(crate) fn sleeper(&mut self) -> i32 {
        let pid = self.shell("exec sleep 1000");
        let all = self.cgroup.paths().all().count();
        wait_until("the sleeper has joined", || {
            let lists = |path: &Path| std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            let joined = |path: &&Path| lists(path).lines().any(|line| line == pid.to_string());
            self.cgroup.paths().all().filter(joined).count() == all
        });
        wait_until("the shell has become sleep", || {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
        });
        pid
    }

    /// Waits for a process that was started here and says how it ended.
    pub(crate) fn wait(&mut self, pid: i32) -> std::process::ExitStatus {
        let is_it = |child: &&mut Child| i32::try_from(child.id()) == Ok(pid);
        self.children.iter_mut().find(is_it).unwrap().wait().unwrap()
    }

    /// The group that has this controller, in its v1 hierarchy or in the v2 tree.
    pub(crate) fn directory(&self, controller: &str) -> PathBuf {
        match self.cgroup.kind() {
            Kind::V1 => self.cgroup.paths().v1(controller).unwrap().to_owned(),
            Kind::V2 => self.cgroup.paths().unified.clone().unwrap(),
        }
    }

    /// One of two answers, by where limits are set on this host.
    pub(crate) fn either<T>(&self, v1: T, v2: T) -> T {
        if self.cgroup.kind() == Kind::V1 { v1 } else { v2 }
    }

    /// This fixture on a host with v1 hierarchies; else says why there is nothing to test.
    pub(crate) fn only_v1(self, why: &str) -> Option<Self> {
        let v1 = self.cgroup.kind() == Kind::V1;
        if !v1 {
            testkit::partner::not_run(why);
        }
        v1.then_some(self)
    }

    /// This fixture on a kernel of this version or a younger one; else says what the kernel lacks.
    pub(crate) fn since(self, version: (u32, u32), what: &str) -> Option<Self> {
        testkit::partner::has_linux(version, what).then_some(self)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.top.thaw(*GUARD);
        let _ = self.top.kill(*GUARD);
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(error) = self.top.remove(*GUARD) {
            eprintln!("left behind: {error}");
        }
    }
}

/// Polls without measuring; panics when the hang guard ends. The children are [`Fixture`]'s to wait for, which the
/// testkit's own way would reap.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < *GUARD, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the process has ended (it may still be a zombie).
pub(crate) fn has_ended(pidfd: impl AsFd, limit: Duration) -> bool {
    let mut polls = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut polls, Some(&limit.try_into().unwrap())).unwrap() == 1
}

pub(crate) fn pidfd(pid: i32) -> std::os::fd::OwnedFd {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
}
