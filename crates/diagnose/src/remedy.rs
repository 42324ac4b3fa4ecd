//! What can be done about a finding, as data: nothing here acts.
//!
//! **Invariant**: an action names a process by pid *and* start time, and a pipe by its inode, never by a name that
//! somebody in a container chose. `heal` compares all of them again before it acts.

use serde::{Deserialize, Serialize};

/// A process as the kernel tells it from all others since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid on the host.
    pub pid: i32,
    /// When it started, in clock ticks after boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

/// Something that `heal` can do by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Read what is in a pipe until its writers go on, and keep the bytes as evidence.
    DrainPipe {
        /// Who is blocked in writing.
        writer: Identity,
        /// Through which of its descriptors.
        fd: i32,
        /// Inode of the pipe.
        inode: u64,
    },
    /// End one process with SIGKILL.
    Kill {
        /// The process.
        process: Identity,
    },
    /// Let one stopped process go on with SIGCONT.
    Continue {
        /// The process.
        process: Identity,
    },
    /// Thaw a frozen group.
    Thaw {
        /// Directory of the group in the hierarchy that freezes.
        group: String,
    },
    /// Switch the OOM killer of a v1 memory group on again.
    EnableOomKiller {
        /// Directory of the group in the memory hierarchy.
        group: String,
    },
    /// Raise a limit, which is written to one control file.
    RaiseLimit {
        /// The control file.
        file: String,
        /// What stands there now.
        from: String,
        /// What is to stand there.
        to: String,
    },
}

/// One way out, with its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// Names it among the remedies of its finding: `drain`, `kill`, ...
    pub name: String,
    /// What is done, in one sentence.
    pub what: String,
    /// What it costs.
    pub cost: String,
    /// What may follow, on this node and above it.
    pub may_follow: String,
    /// What `heal --apply` does; none for advice that a person has to carry out.
    pub action: Option<Action>,
}

impl Remedy {
    /// What `heal` can do.
    #[must_use]
    pub fn act(name: &str, what: impl Into<String>, action: Action) -> Self {
        Self { action: Some(action), ..Self::advise(name, what) }
    }

    /// What only a person can do.
    #[must_use]
    pub fn advise(name: &str, what: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            what: crate::finding::one_line(&what.into()),
            cost: String::from("none"),
            may_follow: String::from("nothing"),
            action: None,
        }
    }

    /// What it costs.
    #[must_use]
    pub fn costs(mut self, cost: impl Into<String>) -> Self {
        self.cost = cost.into();
        self
    }

    /// What may follow.
    #[must_use]
    pub fn may_follow(mut self, what: impl Into<String>) -> Self {
        self.may_follow = what.into();
        self
    }
}
