//! Containers, put together from what the kernel and the directories say; no daemon was asked.

use serde::{Deserialize, Serialize};

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Id: 64 hexadecimal digits, or the name given to `ctr` or `runc`.
    pub id: String,
    /// Name that people use: dockerd's, podman's, or `POD/CONTAINER` of Kubernetes. The container's owner chose it.
    pub name: Option<String>,
    /// Namespace in containerd: `moby`, `k8s.io`, `default`.
    pub namespace: Option<String>,
    /// Its init process, when that is known and was there.
    pub init: Option<i32>,
    /// The shim or conmon that keeps it, when there is one.
    pub shim: Option<i32>,
    /// Its processes, ascending; none when it has ended and only its engine still knows it.
    pub processes: Vec<i32>,
}
