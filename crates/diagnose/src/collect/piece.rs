//! What a child sends to the collector.

use serde::{Deserialize, Serialize};

use crate::snapshot::host::FileSystem;
use crate::snapshot::{
    Cgroup, Configuration, Host, KernelLine, LogLine, Mount, Package, Process, RuntimeState, Task, UnitFile,
    UnixSocket, Unseen,
};

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Piece {
    Process(Box<Process>),
    Cgroup(Box<Cgroup>),
    Host(Box<Host>),
    FileSystem(FileSystem),
    Sockets(Vec<UnixSocket>),
    Mounts(Vec<Mount>),
    /// A socket file that was there before the snapshot was begun.
    SocketFile(String),
    /// What is in a pipe.
    Depth {
        inode: u64,
        bytes: Option<u64>,
        capacity: Option<u64>,
    },
    KernelLog(Vec<KernelLine>),
    Log(Vec<LogLine>),
    State(Box<RuntimeState>),
    Task(Box<Task>),
    Unit(UnitFile),
    Configuration(Configuration),
    Packages(Vec<Package>),
    /// Directories that were found.
    Names(Vec<String>),
    /// The name of a container in its bundle: better than none.
    BundleName {
        id: String,
        name: String,
    },
    /// The name that people use for a container.
    ContainerName {
        id: String,
        name: String,
    },
    /// A part of a cheap look, and the kernel threads that it met.
    Look(Box<super::look::Look>, Vec<i32>),
    Unseen(Unseen),
}

impl Piece {
    /// Something that was refused, unless it simply is not there (any more).
    pub(super) fn refused(what: &str, errno: rustix::io::Errno) -> Option<Self> {
        use rustix::io::Errno;
        let why = match errno {
            Errno::NOENT | Errno::SRCH | Errno::NOTDIR => return None,
            Errno::PERM | Errno::ACCESS => crate::snapshot::Why::Denied,
            other => crate::snapshot::Why::Refused { errno: other.raw_os_error() },
        };
        Some(Self::Unseen(Unseen { what: format!("/{what}"), why }))
    }
}
