//! Out-of-memory kills of a container, told once each and before the end of whoever was killed.
//!
//! Two look: the watch, when the kernel says that something happened, and whoever reports an end by SIGKILL, before it
//! does. The counter of the group is what both compare with, so a kill is told by the first who looks, and only by it.
//!
//! Kernel: the counter moves before the victim gets its signal, on v1 and on v2 (`__oom_kill_process`).

use cgroup::{Cgroup, OomEvent, OomEvents};
use rustix::fd::{AsFd, OwnedFd};
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The out-of-memory kills of one container.
#[derive(Debug)]
pub struct Oom {
    /// A second descriptor of the same eventfd or inotify instance: to be polled while the first is read.
    readable: OwnedFd,
    events: Mutex<OomEvents>,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Processes were killed since the last look.
    Kills,
    /// None was.
    Nothing,
    /// The group is gone; nothing will follow.
    Gone,
}

impl Oom {
    /// Registers with the kernel. Opens and writes control files: not for the control thread.
    ///
    /// # Errors
    /// [`cgroup::Error`] where there is no memory controller; the text of another refusal.
    pub fn register(cgroup: &Cgroup) -> Result<Self, cgroup::Error> {
        let events = cgroup.oom_events()?;
        let path = cgroup.paths().main().to_owned();
        let readable = rustix::io::fcntl_dupfd_cloexec(events.as_fd(), 3)
            .map_err(|source| cgroup::Error::Open { path, source })?;
        Ok(Self { readable, events: Mutex::new(events) })
    }

    /// Looks at the counter, and calls `tell` before anybody else can look if it has moved. Reads control files, and on
    /// v1 waits up to 50 ms for the counter after an event: not for the control thread.
    pub fn look(&self, tell: impl FnOnce()) -> Found {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.take() {
            OomEvent::Killed { .. } => {
                tell();
                Found::Kills
            }
            OomEvent::Gone => Found::Gone,
            OomEvent::Waiting | OomEvent::Nothing => Found::Nothing,
        }
    }

    /// Comes back when the kernel has something to say; then [`Oom::look`].
    ///
    /// # Errors
    /// When the descriptor cannot be polled.
    #[expect(
        deprecated,
        reason = "its successor is an unsafe function; the descriptor is owned and never exchanged"
    )]
    pub async fn happened(&self) -> io::Result<()> {
        let readable = AsyncFd::with_interest(self.readable.as_fd(), Interest::READABLE)?;
        readable.readable().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    /// A group with little memory, taken away when dropped.
    struct Lab {
        cgroup: Cgroup,
        path: PathBuf,
    }

    impl Lab {
        /// None, aloud, where this user cannot make a group with a memory controller.
        fn new() -> Option<Self> {
            let name = format!("/sluice-test-oom-{}", std::process::id());
            let layout = cgroup::Layout::discover().ok()?;
            let paths = cgroup::resolve(&layout, Some(&name), "oom").ok()?;
            let path = paths.v1("memory").or(paths.unified.as_deref())?.to_owned();
            if std::fs::create_dir(&path).is_err() {
                eprintln!("SKIPPED: make {}", path.display());
                return None;
            }
            let v1 = paths.v1.into_iter().filter(|(_, group)| *group == path).collect();
            let unified = paths.unified.filter(|group| *group == path);
            let lab = Self { cgroup: Cgroup::new(cgroup::Paths { unified, v1 }), path };
            let limits = ["memory.max", "memory.limit_in_bytes"].map(|name| lab.path.join(name));
            let Some(limit) = limits.iter().find(|path| path.exists()) else {
                eprintln!("SKIPPED: no memory controller in {}", lab.path.display());
                return None;
            };
            write(limit, "16777216");
            write(&lab.path.join("memory.swap.max"), "0");
            Some(lab)
        }

        /// Ends by the kernel's hand.
        fn eat(&self) {
            let script = "echo 0 > \"$0/cgroup.procs\"; exec tail /dev/zero";
            let status = Command::new("sh").args(["-c", script]).arg(&self.path).status().unwrap();
            assert!(!status.success());
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            std::fs::remove_dir(&self.path).unwrap();
        }
    }

    fn write(path: &Path, text: &str) {
        if let Ok(mut file) = std::fs::OpenOptions::new().write(true).open(path) {
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_kill_is_there_when_the_victim_has_ended_and_is_told_once() {
        let Some(lab) = Lab::new() else { return };
        let oom = Oom::register(&lab.cgroup).unwrap();
        let mut told = 0;
        assert_eq!(oom.look(|| told += 1), Found::Nothing);
        lab.eat();
        assert_eq!(oom.look(|| told += 1), Found::Kills);
        assert_eq!(oom.look(|| told += 1), Found::Nothing);
        assert_eq!(told, 1);
    }

    #[test]
    fn the_watch_wakes_up() {
        let Some(lab) = Lab::new() else { return };
        let oom = Oom::register(&lab.cgroup).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let woken = runtime.block_on(async {
            lab.eat();
            tokio::time::timeout(Duration::from_secs(20), oom.happened()).await
        });
        woken.unwrap().unwrap();
        assert_eq!(oom.look(|| ()), Found::Kills);
    }
}
