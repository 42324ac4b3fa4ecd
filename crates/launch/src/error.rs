//! What can go wrong before a child exists, or while its parent waits.

use rustix::io::Errno;

/// An operation of this crate that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host's `/proc` cannot be used.
    #[error("open the host's /proc")]
    HostProc(#[source] Errno),
    /// What is mounted on `/proc` is not the root of a proc file system.
    #[error("/proc is not a proc file system (file system type {magic:#x}, inode {inode})")]
    NotProc {
        /// `f_type` of statfs(2).
        magic: u64,
        /// Inode number; the root of procfs is 1.
        inode: u64,
    },
    /// The pipe or the shared page for the child's report.
    #[error("make the report pipe of the child")]
    ReportChannel(#[source] Errno),
    /// The pid namespace for children could not be set.
    #[error("enter the pid namespace of the container's init")]
    PidNamespace(#[source] Errno),
    /// This process's own pid namespace for children could not be restored.
    #[error("return to the own pid namespace")]
    RestorePidNamespace(#[source] Errno),
    /// The kernel refused to make the child.
    #[error("clone3")]
    Clone(#[source] Errno),
    /// Waiting for the child failed.
    #[error("wait for process {pid}")]
    Wait {
        /// The child.
        pid: i32,
        /// The cause.
        source: Errno,
    },
    /// The report pipe could not be read.
    #[error("read the report of process {pid}")]
    Report {
        /// The child.
        pid: i32,
        /// The cause.
        source: Errno,
    },
    /// The binary could not protect itself against being overwritten from a container.
    #[error("protect the own executable: {step}")]
    Seal {
        /// Which step.
        step: &'static str,
        /// The cause.
        source: Errno,
    },
}
