//! Mounts, and the requests that wait for a server in user space.

use serde::{Deserialize, Serialize};

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Id of the mount.
    pub id: u64,
    /// Id of the mount it is mounted on.
    pub parent: u64,
    /// Device as `major:minor`.
    pub device: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// Type: `overlay`, `nfs4`, `fuse.sshfs`.
    pub fs_type: String,
    /// Source: device, `server:/path`.
    pub source: String,
    /// Mount options of this mount.
    pub options: String,
    /// Requests that wait for the server of a FUSE file system (`/sys/fs/fuse/connections/N/waiting`). More than none
    /// for longer than a moment means that the server does not answer.
    pub fuse_waiting: Option<u64>,
}
