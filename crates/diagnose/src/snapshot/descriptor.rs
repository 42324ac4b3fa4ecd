//! Open descriptors of a process.

use serde::{Deserialize, Serialize};

/// `O_ACCMODE`, and its three values. Source: open(2).
const ACCESS_MODE: u32 = 0o3;
const WRITE_ONLY: u32 = 0o1;
const READ_WRITE: u32 = 0o2;
/// `O_PATH`: holds a place in the file system, neither reads nor writes.
const PATH_ONLY: u32 = 0o10_000_000;

/// One open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fd {
    /// Its number.
    pub number: i32,
    /// What it leads to.
    pub target: FdTarget,
    /// `O_*` flags as `fdinfo` has them; `None` when they were not read (only pipes and fifos need them).
    #[serde(default)]
    pub flags: Option<u32>,
    /// File offset; `None` as with the flags.
    #[serde(default)]
    pub offset: Option<u64>,
}

impl Fd {
    /// Whether it can be read from; `false` when the flags are unknown.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.flags.is_some_and(|flags| flags & PATH_ONLY == 0 && flags & ACCESS_MODE != WRITE_ONLY)
    }

    /// Whether it can be written to; `false` when the flags are unknown.
    #[must_use]
    pub fn writes(&self) -> bool {
        let writes = |flags: u32| matches!(flags & ACCESS_MODE, WRITE_ONLY | READ_WRITE);
        self.flags.is_some_and(|flags| flags & PATH_ONLY == 0 && writes(flags))
    }

    /// Inode of the pipe or fifo it leads to.
    #[must_use]
    pub fn pipe(&self) -> Option<u64> {
        match self.target {
            FdTarget::Pipe { inode } | FdTarget::Fifo { inode, .. } => Some(inode),
            _ => None,
        }
    }

    /// Inode of the socket it leads to.
    #[must_use]
    pub fn socket(&self) -> Option<u64> {
        match self.target {
            FdTarget::Socket { inode } => Some(inode),
            _ => None,
        }
    }
}

/// What a descriptor leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FdTarget {
    /// A nameless pipe.
    Pipe {
        /// Its inode, unique on the host.
        inode: u64,
    },
    /// A pipe with a name.
    Fifo {
        /// Its inode: unique in its file system only, which is one tmpfs for all of a daemon's fifos.
        inode: u64,
        /// Its path as the process sees it.
        path: String,
    },
    /// A socket of any family.
    Socket {
        /// Its inode, unique on the host.
        inode: u64,
    },
    /// `anon_inode:NAME`: `eventpoll`, `eventfd`, `inotify`, `pidfd`, ...
    Anonymous {
        /// The name without brackets.
        name: String,
    },
    /// A file, directory or device.
    Path {
        /// Its path as the process sees it; ends in ` (deleted)` when it has none any more.
        path: String,
    },
}
