//! What can go wrong with control groups: the operation with its operands; the cause is the `source`.

use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a control group that did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The mounted hierarchies, or the own membership in them, could not be read.
    #[error("find the cgroup hierarchies of this host")]
    Discover(#[source] proc::Error),
    /// Neither v1 nor v2 is mounted.
    #[error(
        "find the cgroup hierarchies of this host: none is mounted (expected cgroup2 or cgroup at /sys/fs/cgroup)"
    )]
    NoHierarchy,
    /// A controller was named that no v1 group of the container has.
    #[error("no cgroup v1 hierarchy has the controller {controller:?}")]
    NoHierarchyOf {
        /// As named.
        controller: String,
    },
    /// The configured path is of no use.
    #[error("linux/cgroupsPath {path:?}: {expected}")]
    Path {
        /// As configured.
        path: String,
        /// What would be right.
        expected: &'static str,
    },
    /// `mkdir(2)` of a group.
    #[error("make cgroup {}{}", path.display(), advice(hint))]
    Make {
        /// Directory of the group.
        path: PathBuf,
        /// Which limit or mount forbids it, where it can be known.
        hint: Option<String>,
        /// What the kernel said.
        source: Errno,
    },
    /// A group below a threaded one, which no process may enter.
    #[error(
        "cgroup {} takes no process: its cgroup.type is domain invalid, because {} above it is {kind}; linux/cgroupsPath must lead below a domain",
        path.display(),
        ancestor.display()
    )]
    NotADomain {
        /// Directory of the group.
        path: PathBuf,
        /// The nearest group above.
        ancestor: PathBuf,
        /// `threaded` or `domain threaded`.
        kind: String,
    },
    /// A group could not be opened.
    #[error("open cgroup {}", path.display())]
    Open {
        /// Directory or file of the group.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A control file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A control file refused a value.
    #[error("write {value:?} to {}{}", path.display(), advice(hint))]
    Write {
        /// The value as written.
        value: String,
        /// The file.
        path: PathBuf,
        /// What would be right, where it can be known.
        hint: Option<String>,
        /// What the kernel said.
        source: Errno,
    },
    /// A control file took a value and made something else of it.
    #[error("write {value:?} to {}: the kernel took it, but it became {became:?}", path.display())]
    NotKept {
        /// The value as written.
        value: String,
        /// The file.
        path: PathBuf,
        /// What it holds now.
        became: String,
    },
    /// The group has the controller, but not this file.
    #[error("linux/resources/{field}: there is no {} {purpose}", path.display())]
    NoFile {
        /// Place in the resources, such as `unified/memory.most`.
        field: String,
        /// The file.
        path: PathBuf,
        /// What it is needed for, and the files that are there.
        purpose: String,
    },
    /// A limit was asked for whose controller the group does not have.
    #[error("linux/resources/{field}: the {controller} controller is not available{}", advice(hint))]
    NoController {
        /// Place in the resources, such as `memory/limit`.
        field: String,
        /// Name of the controller.
        controller: String,
        /// Why it is not there, where it can be known.
        hint: Option<String>,
    },
    /// A value that no kernel would take, or that contradicts another one.
    #[error("linux/resources/{field}: {expected}")]
    Invalid {
        /// Place in the resources, such as `memory/swap`.
        field: String,
        /// What would be right.
        expected: String,
    },
    /// `bpf(2)`: the program for the device rules could not be loaded or attached.
    #[error("attach the device program to cgroup {}", path.display())]
    DeviceProgram {
        /// Directory of the group.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// `rmdir(2)` of a group.
    #[error("remove cgroup {}{}", path.display(), advice(hint))]
    Remove {
        /// Directory of the group.
        path: PathBuf,
        /// Which mount forbids it, where it can be known.
        hint: Option<String>,
        /// What the kernel said.
        source: Errno,
    },
    /// The group cannot thaw while one above it is frozen.
    #[error("thaw cgroup {}: it stays frozen because {} above it is frozen", path.display(), ancestor.display())]
    AncestorFrozen {
        /// The group.
        path: PathBuf,
        /// The nearest group above that is frozen by itself.
        ancestor: PathBuf,
    },
    /// A conversation with systemd.
    #[error(transparent)]
    Systemd(#[from] crate::systemd::Error),
    /// There is no way to freeze this group.
    #[error("{stage} cgroup: no freezer (neither a v1 freezer hierarchy nor cgroup.freeze)")]
    NoFreezer {
        /// `freeze` or `thaw`.
        stage: &'static str,
    },
    /// A wait reached its limit.
    #[error("{stage} cgroup {}: not done after {} ms; waits for {}", path.display(), waited.as_millis(), list(pids))]
    Deadline {
        /// `freeze`, `thaw`, `kill` or `remove`.
        stage: &'static str,
        /// Directory of the group.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// Processes still in the group.
        pids: Vec<i32>,
    },
}

impl Error {
    /// The error number of the kernel, if the kernel refused.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Make { source, .. }
            | Self::Open { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::DeviceProgram { source, .. }
            | Self::Remove { source, .. } => Some(*source),
            _ => None,
        }
    }
}

fn advice(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
}

fn list(pids: &[i32]) -> String {
    const SHOWN: usize = 8;
    if pids.is_empty() {
        return "the kernel (no process is left in it)".to_owned();
    }
    let shown: Vec<String> = pids.iter().take(SHOWN).map(i32::to_string).collect();
    let more = pids.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("pid {}{more}", shown.join(", "))
}
