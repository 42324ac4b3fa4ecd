//! What the evidence amounts to, with its words.

use std::fmt;
use std::path::PathBuf;

/// Why a process could not start or was killed. Every path is the directory of the level that was hit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The group does not exist (any longer).
    Gone {
        /// The group.
        path: PathBuf,
    },
    /// The group is frozen, by this level.
    Frozen {
        /// The level.
        path: PathBuf,
    },
    /// As many tasks as the level allows.
    PidsLimit {
        /// The level.
        path: PathBuf,
        /// Tasks in use.
        current: u64,
        /// Most tasks.
        max: u64,
    },
    /// Processes of the group itself were killed because a level was out of memory.
    OomKilled {
        /// The level whose limit was hit.
        path: PathBuf,
        /// The control file of the limit.
        file: &'static str,
        /// Most bytes.
        limit: Option<u64>,
        /// Bytes in use now, after the kill.
        usage: Option<u64>,
        /// Processes of the group itself that were killed since.
        kills: u64,
    },
    /// Processes of the group were killed while no limit of its levels was hit: the host was out of memory.
    HostOutOfMemory {
        /// The group.
        path: PathBuf,
        /// Processes of the group itself that were killed since.
        kills: u64,
    },
    /// A limit was hit and nobody killed.
    MemoryLimit {
        /// The level.
        path: PathBuf,
        /// The control file of the limit.
        file: &'static str,
        /// Most bytes.
        limit: Option<u64>,
        /// Bytes in use.
        usage: Option<u64>,
        /// How often the limit was hit since; 0 where it is not counted.
        hits: u64,
    },
    /// The level is out of memory and its OOM killer is off (v1): whoever needs memory waits.
    OomDisabled {
        /// The level.
        path: PathBuf,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { path } => write!(f, "the cgroup {} is gone", path.display()),
            Self::Frozen { path } => write!(f, "the cgroup {} is frozen", path.display()),
            Self::PidsLimit { path, current, max } => {
                write!(f, "{current} of {max} pids are in use (pids.max of {})", path.display())
            }
            Self::OomKilled { path, file, limit, usage, kills } => {
                write!(f, "out of memory: {file} of {} is {}", path.display(), Bytes(*limit))?;
                write!(f, ", usage {} after {kills} killed (oom_kill +{kills})", Bytes(*usage))
            }
            Self::HostOutOfMemory { path, kills } => {
                let path = path.display();
                write!(
                    f,
                    "the host is out of memory: {kills} killed in {path} (oom_kill +{kills}), below all its limits"
                )
            }
            Self::MemoryLimit { path, file, limit, usage, hits } => {
                let path = path.display();
                write!(f, "out of memory: {file} of {path} is {}, usage {}", Bytes(*limit), Bytes(*usage))?;
                if *hits > 0 { write!(f, ", hit {hits} times, nobody killed") } else { Ok(()) }
            }
            Self::OomDisabled { path } => {
                let path = path.display();
                write!(
                    f,
                    "out of memory with the OOM killer off: {path} has oom_kill_disable 1 and under_oom 1"
                )
            }
        }
    }
}

/// A number of bytes that may not be known.
struct Bytes(Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => f.write_str("unknown"),
        }
    }
}
