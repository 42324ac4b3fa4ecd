//! Being told when a process of the groups is killed for lack of memory.
//!
//! The descriptor becomes readable, then [`OomEvents::take`] says what happened. On v1 it is an eventfd registered
//! in `cgroup.event_control`, on v2 an inotify descriptor on `memory.events`.
//!
//! Source: the kernel's admin-guide/cgroup-v1/memory, section 10, and admin-guide/cgroup-v2.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{CWD, Mode, OFlags};

use crate::deadline::Deadline;
use crate::{Cgroup, Error, Kind, Result, file, procs};

/// Kernel: v1 notifies before it kills, so the counter moves a little later.
const KILL_FOLLOWS: Duration = Duration::from_millis(50);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomEvent {
    /// Processes of the groups were killed; how many since the last event.
    Killed {
        /// Number of processes.
        kills: u64,
    },
    /// v1 with the OOM killer off: processes wait for memory.
    Waiting,
    /// Nothing that concerns these groups: on v1 a group above or beside was out of memory.
    Nothing,
    /// The group was removed; nothing will follow. On v2 only who asks is told.
    Gone,
}

/// The source of events of one container.
#[derive(Debug)]
pub struct OomEvents {
    events: OwnedFd,
    group: PathBuf,
    kind: Kind,
    kills: u64,
}

impl Cgroup {
    /// Registers for out-of-memory events. Dropping the result ends it.
    ///
    /// # Errors
    /// When there is no memory controller, or the registration is refused.
    pub fn oom_events(&self) -> Result<OomEvents> {
        let kind = self.kind();
        let group = match kind {
            Kind::V1 => self.paths().v1("memory"),
            Kind::V2 => self.paths().unified.as_deref(),
        };
        let Some(group) = group.map(Path::to_owned) else {
            return Err(Error::NoHierarchyOf { controller: "memory".to_owned() });
        };
        let events = match kind {
            Kind::V1 => register_v1(&group)?,
            Kind::V2 => watch_v2(&group)?,
        };
        let kills = kills(kind, &group).unwrap_or(0);
        Ok(OomEvents { events, group, kind, kills })
    }
}

impl AsFd for OomEvents {
    /// Readable when [`OomEvents::take`] has something to say; but the end of a v2 group is not told, so watch a process
    /// of it besides.
    ///
    /// Kernel: seen on 6.1, kernfs tells inotify of no removed file.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl OomEvents {
    /// Takes what made the descriptor readable. Does not block when it is not, and at most 50 ms when it is.
    pub fn take(&mut self) -> OomEvent {
        let notified = self.drain();
        let mut deadline = Deadline::new("wait for the OOM killer", KILL_FOLLOWS);
        loop {
            let Some(kills) = kills(self.kind, &self.group) else { return OomEvent::Gone };
            if kills > self.kills {
                let since = kills - self.kills;
                self.kills = kills;
                return OomEvent::Killed { kills: since };
            }
            if self.kind == Kind::V1 && waits(&self.group) {
                return OomEvent::Waiting;
            }
            if !notified || self.kind == Kind::V2 || deadline.is_over() {
                return OomEvent::Nothing;
            }
            deadline.pause();
        }
    }

    /// Whether there was something.
    fn drain(&self) -> bool {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 1024];
        let mut any = false;
        while matches!(rustix::io::read(&self.events, &mut buffer[..]), Ok((read, _)) if !read.is_empty()) {
            any = true;
        }
        any
    }
}

fn register_v1(group: &Path) -> Result<OwnedFd> {
    let path = group.join("memory.oom_control");
    let open = |source| Error::Open { path: path.clone(), source };
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let events = rustix::event::eventfd(0, flags).map_err(open)?;
    let control =
        rustix::fs::openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(open)?;
    let request = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
    file::write(&group.join("cgroup.event_control"), &request)?;
    Ok(events)
}

fn watch_v2(group: &Path) -> Result<OwnedFd> {
    let path = group.join("memory.events");
    let open = |source| Error::Open { path: path.clone(), source };
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(open)?;
    inotify::add_watch(&events, &path, WatchFlags::MODIFY | WatchFlags::DELETE_SELF).map_err(open)?;
    Ok(events)
}

/// Kills so far in the group and all nested in it; `None` when it is gone. v2 counts the nested ones itself.
fn kills(kind: Kind, group: &Path) -> Option<u64> {
    match kind {
        Kind::V1 => {
            let count = |group: &Path| count(&group.join("memory.oom_control"));
            let own = count(group)?;
            Some(procs::subtree(group).iter().skip(1).filter_map(|nested| count(nested)).sum::<u64>() + own)
        }
        Kind::V2 => count(&group.join("memory.events")),
    }
}

fn count(path: &Path) -> Option<u64> {
    // Kernel: v1 counts since 4.13; a file without the line is still a group that lives.
    Some(proc::kv::lookup(&file::try_read(path).ok()?, "oom_kill").unwrap_or(0))
}

fn waits(group: &Path) -> bool {
    let text = file::try_read(&group.join("memory.oom_control")).unwrap_or_default();
    ["oom_kill_disable", "under_oom"].iter().all(|key| proc::kv::lookup(&text, key) == Some(1))
}
