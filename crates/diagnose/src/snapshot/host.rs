//! Settings, limits and counters of the whole host.

use serde::{Deserialize, Serialize};

/// The host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`: the architecture that system call numbers belong to.
    pub machine: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    /// Number of processors that are online.
    pub processors: u32,
    /// FIPS mode of the kernel (`/proc/sys/crypto/fips_enabled`); `None`: the kernel has no such thing.
    pub fips: Option<bool>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Limits of processes and threads.
    pub tasks: Tasks,
    /// Open files of the host.
    pub files: Usage,
    /// `fs.nr_open`: the highest RLIMIT_NOFILE.
    pub nr_open: Option<u64>,
    /// inotify limits per user, and use.
    pub inotify: Inotify,
    /// Kernel keyrings per user.
    pub keys: Vec<KeyUser>,
    /// Limits of keys for users other than root.
    pub key_limits: KeyLimits,
    /// Limits of keys for root.
    pub root_key_limits: KeyLimits,
    /// Entries of the connection tracking table.
    pub conntrack: Usage,
    /// `MemTotal` and what is not available of it, in bytes.
    pub memory: Usage,
    /// `some avg10` of `/proc/pressure/{cpu,memory,io}` in percent; `None` without PSI.
    pub pressure: Pressure,
    /// Space and inodes of file systems that container services write to.
    pub file_systems: Vec<FileSystem>,
    /// Controllers of each v1 hierarchy, `unified` for v2.
    pub cgroup_hierarchies: Vec<String>,
}

/// A number in use and the most there can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// In use.
    pub used: Option<u64>,
    /// Limit.
    pub max: Option<u64>,
}

/// Tasks (threads) of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tasks {
    /// Tasks that exist.
    pub count: Option<u64>,
    /// `kernel.pid_max`.
    pub pid_max: Option<u64>,
    /// `kernel.threads-max`.
    pub threads_max: Option<u64>,
}

/// inotify.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inotify {
    /// `fs.inotify.max_user_instances`.
    pub max_instances: Option<u64>,
    /// `fs.inotify.max_user_watches`.
    pub max_watches: Option<u64>,
    /// Instances per user id, counted from the descriptors that were seen.
    pub instances: Vec<(u32, u64)>,
    /// Whether the user who took the snapshot was refused another instance; `None`: it was not tried.
    pub is_refused: Option<bool>,
}

/// One user of kernel keys. Source: proc_key-users(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyUser {
    /// User id.
    pub uid: u32,
    /// Keys and the user's quota of them.
    pub keys: Usage,
    /// Bytes and the user's quota of them.
    pub bytes: Usage,
}

/// `kernel.keys.*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyLimits {
    /// Keys.
    pub keys: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// Pressure stall information, percent of time over the last ten seconds in which some task waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Option<f64>,
    /// For memory.
    pub memory: Option<f64>,
    /// For a device.
    pub io: Option<f64>,
}

/// One file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileSystem {
    /// A directory in it.
    pub path: String,
    /// Its number (`f_fsid`), the same for all its directories; 0 where it has none, and in older snapshots.
    pub id: u64,
    /// Bytes; what is kept for root counts as free, since every daemon is root.
    pub bytes: Usage,
    /// Inodes.
    pub inodes: Usage,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}
