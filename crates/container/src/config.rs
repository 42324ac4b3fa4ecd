//! `config.json`: what the caller asks for, as types named after the OCI runtime specification 1.3.
//!
//! Every field of the Linux part is here, also those that are refused later, so that a refusal can point at them.
//! A field the specification does not know is ignored; `null` means absent, as it does for runc.
//!
//! **Invariant:** a [`Config`] that came out of [`Config::load`] has the right shape; what its values mean is checked
//! by [`Config::validate`].
//!
//! Source: <https://github.com/opencontainers/runtime-spec/blob/main/config.md>, `config-linux.md`

mod error;
mod hooks;
mod linux;
mod load;
mod mount;
mod process;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use cgroup::Resources;
pub use error::Error;
pub use hooks::{Hook, Hooks};
pub use linux::{
    DeviceType, IntelRdt, Linux, LinuxDevice, MemoryPolicy, Namespace, NamespaceType, NetDevice, Personality,
    TimeOffset,
};
pub use load::MAX_BYTES;
pub(crate) use load::escape as pointer_key;
pub use mount::{IdMapping, Mount};
pub use process::{
    Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, IoPriorityClass, Process, Rlimit, Scheduler,
    SchedulerPolicy, User,
};

/// The file name of the configuration inside a bundle.
pub const FILE_NAME: &str = "config.json";

/// The whole of `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The version of the specification the bundle was written for, for example `1.0.2`.
    pub oci_version: String,
    /// The program of the container's init.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The host name seen inside; empty: left alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The NIS domain name seen inside; empty: left alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// What is mounted below the root, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Programs run at the turning points of the container's life.
    #[serde(skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Free text of the caller, handed on in `state`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has. Absent and empty mean the same.
    pub linux: Linux,
}

/// `root`: the file system the container sees as `/`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// The directory; relative to the bundle, or absolute.
    pub path: PathBuf,
    /// Whether `/` is remounted read-only once everything below it is in place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
}
