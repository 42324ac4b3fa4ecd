//! What runtimes and containerd keep on disk about each container.

use serde::{Deserialize, Serialize};

/// One container in the state directory of a low-level runtime.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeState {
    /// The `--root` it lies in: `/run/docker/runtime-runc/moby`.
    pub root: String,
    /// Name of its directory: the id.
    pub id: String,
    /// Which runtime writes such a directory.
    pub kind: RuntimeKind,
    /// The file that holds the state.
    pub path: String,
    /// What was in it.
    pub file: StateFile,
    /// Size in bytes; `None` when it is not there.
    pub size: Option<u64>,
    /// Last modification, milliseconds after 1970.
    pub modified_ms: Option<u64>,
    /// How many of the reads, a few milliseconds apart, found it torn. Between none and all of them: somebody
    /// rewrites it in place right now.
    pub torn_reads: u32,
    /// How many reads there were: one when the first was whole.
    pub reads: u32,
    /// Left-over temporary files beside it.
    pub leftovers: Vec<String>,
}

/// Who wrote a state directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuntimeKind {
    /// runc and its relatives: `state.json`.
    #[default]
    Runc,
    /// crun: `status`.
    Crun,
    /// Sluice: `state.json` with a schema of its own.
    Sluice,
    /// youki: `state.json` in another form.
    Youki,
}

/// Content of a state file at the last read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFile {
    /// There is none.
    #[default]
    Missing,
    /// It could not be read; `unseen` says why.
    Unread,
    /// It is not a whole JSON text.
    Torn {
        /// What is wrong, with line and column.
        error: String,
    },
    /// It is whole.
    Whole {
        /// Pid of the container's init as recorded.
        init: Option<i32>,
        /// Start time of init in clock ticks as recorded; with another one, the pid is somebody else's now.
        init_start_time: Option<u64>,
        /// Bundle directory.
        bundle: Option<String>,
        /// Paths of its control groups.
        cgroups: Vec<String>,
    },
}

/// One task directory of containerd (`STATE/io.containerd.runtime.v2.task/NAMESPACE/ID`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Namespace.
    pub namespace: String,
    /// Container id.
    pub id: String,
    /// The directory.
    pub bundle: String,
    /// Shim's socket, from `address` or `bootstrap.json`.
    pub address: Option<String>,
    /// Pid in `init.pid`.
    pub init: Option<i32>,
    /// `BinaryName` of the runtime options: which low-level runtime is called.
    pub runtime: Option<String>,
    /// `Root` of the runtime options, with the namespace: where that runtime keeps its state.
    pub runtime_root: Option<String>,
}

impl Task {
    /// dockerd's exec-root, where its runtime's state lies.
    #[must_use]
    pub fn exec_root(&self) -> Option<&str> {
        let (root, _) = self.runtime_root.as_deref()?.split_once("/runtime-")?;
        root.starts_with('/').then_some(root)
    }
}
