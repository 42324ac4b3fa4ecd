//! What can go wrong before a child exists, or while its parent waits.

use rustix::io::Errno;

/// An operation of this crate that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pipe or the shared page for the child's report.
    #[error("make the report pipe of the child")]
    ReportChannel(#[source] Errno),
    /// The pid namespace for children could not be set.
    #[error("enter the pid namespace of the container's init")]
    PidNamespace(#[source] Errno),
    /// The container's user namespace could not be joined.
    #[error("join the user namespace of the container's init (its owner and the host's root may)")]
    UserNamespace(#[source] Errno),
    /// The preference of the out-of-memory killer could not be set.
    #[error("write oom_score_adj")]
    OomScore(#[source] Errno),
    /// A namespace could not be entered.
    #[error("enter namespace {index}")]
    Visit {
        /// Which of the given ones, counted from 0.
        index: usize,
        /// The cause.
        source: Errno,
    },
    /// The calling process could not be hidden from the container.
    #[error("become undumpable")]
    Undumpable(#[source] Errno),
    /// A child closed its report pipe in `execve`, and the kernel does not tell whether that succeeded.
    #[error("find out whether process {pid} executed its program")]
    Unknown {
        /// The child.
        pid: i32,
        /// The cause.
        source: ::proc::Error,
    },
    /// The own namespaces could not be entered again.
    #[error("return to the own namespaces")]
    Return(#[source] Errno),
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
