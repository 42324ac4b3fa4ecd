//! What a node looks like at one moment: plain data, the only input of every analysis.
//!
//! A snapshot is taken ([`crate::collect`] fills it) or loaded from a file, and nobody downstream can tell which.
//! **Invariant:** data only. Nothing here reads the system, and nothing here is an opinion.
//!
//! ```text
//!   Process --cgroups--> Cgroup (and its ancestors: Snapshot::chain)
//!      |------threads--> Thread --call--> Call { name, fd } --.
//!      '------fds------> Fd --target--> Pipe | Fifo | Socket <'
//!                                        |       |       |
//!                       Snapshot::pipe --'-------'       '-- Snapshot::socket -> peer
//! ```

pub mod cgroup;
pub mod container;
pub mod descriptor;
pub mod host;
pub mod installed;
pub mod log;
pub mod mount;
pub mod pipe;
pub mod process;
pub mod role;
pub mod runtime_state;
pub mod socket;
pub mod unseen;

use serde::{Deserialize, Serialize};

pub use cgroup::{Cgroup, Membership};
pub use container::Container;
pub use descriptor::{Fd, FdTarget};
pub use host::Host;
pub use installed::{Configuration, Package, UnitFile};
pub use log::{KernelLine, LogLine};
pub use mount::Mount;
pub use pipe::{End, Pipe};
pub use process::{Call, Process, Role, Thread};
pub use runtime_state::{RuntimeState, StateFile, Task};
pub use socket::UnixSocket;
pub use unseen::{Unseen, Why};

/// Version of the layout below. It moves when a field changes its meaning or goes; a new field does not move it,
/// since what is missing in a file is read as its default.
pub const SCHEMA: u32 = 1;

/// One node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// [`SCHEMA`] of whoever wrote it.
    pub schema: u32,
    /// When, where, by whom.
    pub taken: Taken,
    /// Host-wide settings and counters.
    pub host: Host,
    /// Every process that was there, by ascending pid.
    pub processes: Vec<Process>,
    /// Every pipe and fifo that one of the processes has open, by ascending inode.
    pub pipes: Vec<Pipe>,
    /// The unix sockets of the host's network namespace, by ascending inode.
    pub sockets: Vec<UnixSocket>,
    /// Every control group, of each hierarchy; an ancestor stands before its descendants.
    pub cgroups: Vec<Cgroup>,
    /// Mounts as the collecting process sees them, and the requests that wait for the servers behind them.
    pub mounts: Vec<Mount>,
    /// Socket files of container daemons on which nobody listens: whoever ends in order takes his away.
    pub left_sockets: Vec<String>,
    /// Containers that processes, control groups or directories tell of.
    pub containers: Vec<Container>,
    /// Containers in the state directories of low-level runtimes.
    pub runtime_states: Vec<RuntimeState>,
    /// Task directories of containerd.
    pub tasks: Vec<Task>,
    /// The kernel's log, oldest first.
    pub kernel_log: Vec<KernelLine>,
    /// The last lines of the journal and of log files, per source oldest first.
    pub logs: Vec<LogLine>,
    /// Unit files of container services, with their drop-ins.
    pub units: Vec<UnitFile>,
    /// Configuration files of container services.
    pub configurations: Vec<Configuration>,
    /// Installed packages that matter here.
    pub packages: Vec<Package>,
    /// What could not be seen, and why: never silently empty.
    pub unseen: Vec<Unseen>,
}

/// Circumstances of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// Wall clock at the beginning, milliseconds after 1970 (UTC).
    pub at_ms: u64,
    /// Time after boot at the beginning, milliseconds: the clock of [`KernelLine::at_us`] and of start times.
    pub since_boot_ms: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Effective user id of the collecting process.
    pub uid: u32,
    /// Version of the program that took it.
    pub version: String,
    /// Clock ticks per second: the unit of [`Process::start_time`] and [`Process::cpu_ticks`].
    pub ticks_per_second: u64,
    /// Ids of what every earlier look of the same diagnosis had found too: a snapshot alone has no before.
    pub found_before: Vec<String>,
    /// Inode of the pid namespace the snapshot was taken in; the pids are those of it. 0 when unknown.
    pub pid_namespace: u64,
}

impl Snapshot {
    /// Sorts what is found by searching, as in a snapshot that was taken here; a file may come from anybody.
    pub fn put_in_order(&mut self) {
        self.processes.sort_by_key(|process| process.pid);
        self.pipes.sort_by_key(|pipe| pipe.inode);
        self.sockets.sort_by_key(|socket| socket.inode);
    }

    /// The process with this pid.
    #[must_use]
    pub fn process(&self, pid: i32) -> Option<&Process> {
        self.processes.binary_search_by_key(&pid, |process| process.pid).ok().map(|at| &self.processes[at])
    }

    /// The pipe or fifo with this inode.
    #[must_use]
    pub fn pipe(&self, inode: u64) -> Option<&Pipe> {
        self.pipes.binary_search_by_key(&inode, |pipe| pipe.inode).ok().map(|at| &self.pipes[at])
    }

    /// The unix socket with this inode.
    #[must_use]
    pub fn socket(&self, inode: u64) -> Option<&UnixSocket> {
        self.sockets.binary_search_by_key(&inode, |socket| socket.inode).ok().map(|at| &self.sockets[at])
    }

    /// The groups that limit a process in one controller (`memory`, `pids`, `freezer`, `cpu`), nearest first.
    ///
    /// On v2 the controller only chooses the hierarchy: a level where it is not enabled is in the chain too, with
    /// nothing in that part.
    #[must_use]
    pub fn chain(&self, process: &Process, controller: &str) -> Vec<&Cgroup> {
        let v1 = process.cgroups.iter().find(|member| member.has(controller));
        let Some(member) = v1.or_else(|| process.cgroups.iter().find(|member| member.is_unified())) else {
            return Vec::new();
        };
        let mut levels: Vec<&Cgroup> =
            self.cgroups.iter().filter(|group| group.holds(&member.hierarchy, &member.path)).collect();
        levels.sort_by_key(|group| std::cmp::Reverse(group.path.len()));
        levels
    }

    /// Time after boot at which a process started, milliseconds.
    #[must_use]
    pub fn started_ms(&self, process: &Process) -> u64 {
        process.start_time.saturating_mul(1000) / self.taken.ticks_per_second.max(1)
    }

    /// How old a process was when the snapshot was taken, milliseconds.
    #[must_use]
    pub fn age_ms(&self, process: &Process) -> u64 {
        self.taken.since_boot_ms.saturating_sub(self.started_ms(process))
    }
}
