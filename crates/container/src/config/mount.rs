//! `mounts` and the identity mappings they share with user namespaces.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One entry of `mounts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where it appears inside the container.
    pub destination: PathBuf,
    /// The file system type, `bind`, or `cgroup`; ignored when an option says `bind` or `rbind`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// A device name, or for a bind mount a path: absolute, or relative to the bundle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Options as in `fstab(5)`; what is not an option of `mount(8)` goes to the file system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// User ids of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of an id-mapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// A run of ids inside that stands for a run of ids outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// The first id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}
