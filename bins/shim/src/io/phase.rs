//! What the streams of a process are told about it.

use std::time::Instant;

use tokio::time::sleep_until;

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Its leader lives, or was not started yet.
    Running,
    /// Its leader has ended.
    Exited,
    /// It is being deleted: what nobody asks for is not waited for.
    Deleting,
    /// Its streams are closed.
    Closed,
}

/// Sleeps until `deadline`; for ever without one.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
