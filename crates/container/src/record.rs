//! What is kept on disk about one container: `state.json`.
//!
//! **Invariant:** identities are pid, start time and boot id together, never a bare pid. What the kernel knows
//! (running, paused, stopped) is not in here: see [`crate::status`].

use crate::Error;
use crate::config::{Hooks, Namespace, Process};
use cgroup::Resources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The format that this version writes. It reads this one and every earlier one.
pub const FORMAT: u32 = 1;

/// How far `create` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Effects on the host may exist, all of them named in the record; the container cannot be started.
    Creating,
    /// Init is parked or was started.
    Created,
}

/// A process on this host that cannot be mistaken for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    /// Pid in the pid namespace of the runtime.
    pub pid: i32,
    /// Start time in clock ticks after boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

/// A hook that is running, or was when the runtime died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningHook {
    /// The leader of the hook's process group.
    pub leader: ProcessId,
    /// `createRuntime/0`, for messages.
    pub name: String,
}

/// What an exec needs of the container's seccomp configuration; the program itself is in `seccomp.bpf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// `SECCOMP_FILTER_FLAG_*` bits.
    pub flags: u32,
    /// The socket that gets the listener, when the profile has a NOTIFY action.
    pub listener_path: Option<PathBuf>,
    /// Passed on to the listener.
    pub listener_metadata: String,
}

/// Everything that is kept about one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Who wrote it: `sluice 0.1.0`.
    pub writer: String,
    /// Counts the writes.
    pub generation: u64,
    /// Boot id of the kernel under which the identities are valid.
    pub boot_id: String,
    /// The container's id.
    pub id: String,
    /// Specification version of `config.json`.
    pub oci_version: String,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root file system.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339 with nanoseconds, UTC.
    pub created: String,
    /// User id that created it.
    pub owner: u32,
    /// How far `create` came.
    pub phase: Phase,
    /// The process that creates or created it.
    pub creator: ProcessId,
    /// The container's first process.
    pub init: Option<ProcessId>,
    /// A hook of the runtime that is running.
    pub hook: Option<RunningHook>,
    /// Where its control groups are.
    pub cgroup: cgroup::Paths,
    /// The unit that they are the groups of, if systemd made them.
    #[serde(default)]
    pub unit: Option<cgroup::systemd::Unit>,
    /// The limits applied last.
    pub resources: Option<Resources>,
    /// Its namespaces as configured.
    pub namespaces: Vec<Namespace>,
    /// Its execution domain, as `personality(2)` takes it.
    #[serde(default)]
    pub personality: Option<u64>,
    /// Name of its session keyring.
    pub keyring: Option<String>,
    /// Its filter.
    pub filter: Option<Filter>,
    /// Its process as configured: the defaults of an exec.
    pub process: Process,
    /// Its hooks.
    pub hooks: Hooks,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Record {
    /// That the container has to live for what was asked, and does not.
    pub(crate) fn not_running(&self) -> Error {
        Error::NotRunning { id: self.id.clone() }
    }
}
