//! Unix sockets: how a client finds its daemon, and how many wait at a daemon's door.

use serde::{Deserialize, Serialize};

/// One unix socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnixSocket {
    /// Inode, by which descriptors find it.
    pub inode: u64,
    /// Path it is bound to; an abstract name begins with `@`. The accepted end of a connection has the path of the
    /// listening socket, the connecting end has none.
    pub path: Option<String>,
    /// State.
    pub state: SocketState,
    /// Inode of the other end of a connection; `None` when there is none or the kernel did not say.
    pub peer: Option<u64>,
    /// Bytes that arrived and are not read; of a listening socket, connections that are not accepted.
    pub receive_queue: Option<u32>,
    /// Bytes sent and not read by the other end; of a listening socket, the longest queue it allows.
    pub send_queue: Option<u32>,
    /// Processes that have it open, ascending; empty when nobody could be asked or it is between two owners (an
    /// accepted connection whose daemon has not taken it yet).
    pub owners: Vec<i32>,
}

/// Name of the socket that dockerd opens below its exec-root, however its clients reach it.
///
/// Compat: moby, `daemon/metrics_unix.go`.
pub(crate) const METRICS: &str = "metrics.sock";

/// One spelling of a socket's address: without `unix://`, and with `/run` for `/var/run`, which is a link to it.
#[must_use]
pub(crate) fn plain(address: &str) -> &str {
    let path = address.strip_prefix("unix://").unwrap_or(address).trim_end_matches('/');
    path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path)
}

/// State of a unix socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketState {
    /// Bound or fresh, not connected.
    #[default]
    Unconnected,
    /// Waits for connections.
    Listening,
    /// Connected.
    Connected,
    /// Going away.
    Closing,
}
