//! A verb of the life cycle that a process of its own carries out: this program once more, with one thread.
//!
//! A verb may fork (`create`), run hooks, and sleep in the kernel for ever; here it does so at nobody's cost. The shim
//! stays without the memory that it takes to read a container's configuration, and can be killed whatever a verb does.
//!
//! ```text
//!     shim                                        verb process
//!       | -- a file with the Request ------------>  |   once it is there and somebody waits for it
//!       | <---------------------------- Log --------|   any number: what the library logs
//!       | <---------------------------- Stage ------|   what it is doing now
//!       | <-- Done | Refused, with descriptors -----|   the last word, then it exits
//!       | <-- end of file --------------------------|   it died
//! ```

pub mod ask;
mod command_line;
mod message;
mod orphans;
pub mod perform;

use container::record::ProcessId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use crate::failure::Kind;

/// The longest request in bytes: a message of containerd has 4 MiB at most, and JSON in JSON may double it.
pub const LONGEST: usize = 16 << 20;

/// The longest word of a verb process in bytes.
pub const LONGEST_WORD: usize = 32 << 10;

/// The longest text in a word, in bytes: six times as much, when all of it has to be escaped, fits into a word.
const LONGEST_TEXT: usize = 4 << 10;

/// A text that fits into a word: of a long one the two ends, where the operation and its cause are.
fn clipped(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let half = LONGEST_TEXT / 2 - 8;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    let (head, tail) = (text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default());
    format!("{head} [...] {tail}")
}

/// What a verb process is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The state root.
    pub root: PathBuf,
    /// The container.
    pub id: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// systemd makes the groups.
    pub systemd_cgroup: bool,
    /// Another OCI runtime, which is called by its command line.
    pub binary: Option<PathBuf>,
    /// What is to be done with it.
    pub verb: Verb,
}

impl Request {
    /// Another verb for the same container.
    #[must_use]
    pub fn with(&self, verb: Verb) -> Self {
        let Self { root, id, bundle, systemd_cgroup, binary, .. } = self;
        let (root, id, bundle) = (root.clone(), id.clone(), bundle.clone());
        Self { root, id, bundle, systemd_cgroup: *systemd_cgroup, binary: binary.clone(), verb }
    }
}

/// A verb with its operands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Verb {
    /// Mounts the root and makes the container up to its program.
    Create(Box<Create>),
    /// Lets the program run.
    Start,
    /// Removes the container, alive or not, and unmounts its root.
    Delete,
    /// Removes what a lost shim left, and nothing if the id has been given to another container meanwhile. The command
    /// line of another runtime cannot see to that: there only the bundle is looked at.
    CleanUp {
        /// The init, as far as it is known.
        init: Option<ProcessId>,
        /// The bundle's number in its file system.
        inode: u64,
    },
    /// Starts a process in it, for another runtime: ours needs no process for that.
    Exec {
        /// The exec.
        exec_id: String,
        /// The process as JSON.
        spec: String,
        /// Whether it gets a terminal.
        terminal: bool,
    },
    /// Freezes it.
    Pause,
    /// Thaws it.
    Resume,
    /// Changes its limits.
    Update {
        /// `linux.resources` as JSON.
        resources: String,
    },
    /// Sends a signal.
    Kill {
        /// Its number.
        signal: i32,
        /// To every process of the container, or to its init.
        all: bool,
    },
    /// Sends SIGKILL to what outlives this init, and to nobody if the id has been given to another container meanwhile.
    EndOthers {
        /// The init that has ended.
        init: ProcessId,
    },
}

/// Operands of [`Verb::Create`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Create {
    /// What is mounted on the bundle's `rootfs`.
    pub rootfs: Vec<Mount>,
    /// The root is moved instead of pivoted.
    pub no_pivot_root: bool,
    /// The container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// Whether its program gets a terminal.
    pub terminal: bool,
}

/// A mount of containerd's snapshotter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// File system type.
    pub kind: String,
    /// Source.
    pub source: String,
    /// Below the root; empty for the root itself.
    pub target: String,
    /// Words as in fstab.
    pub options: Vec<String>,
}

/// What a verb process says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// A line for the log.
    Log {
        /// 1 (error) to 5 (trace).
        level: usize,
        /// The line.
        text: String,
    },
    /// What it does from now on.
    Stage(String),
    /// It is done. After [`Verb::Create`] and [`Verb::Exec`] the new process's pidfd and, with a terminal, its master come
    /// with this word.
    Done {
        /// The new process's pid; 0 where there is none.
        pid: i32,
    },
    /// It could not be done, and nothing is left of the attempt.
    Refused {
        /// What the error means.
        kind: Kind,
        /// The whole chain in one line.
        text: String,
    },
}

impl Word {
    /// As it is sent; the receiver takes no more than [`LONGEST_WORD`].
    fn encode(self) -> Vec<u8> {
        let word = match self {
            Self::Log { level, text } => Self::Log { level, text: clipped(text) },
            Self::Stage(text) => Self::Stage(clipped(text)),
            Self::Refused { kind, text } => Self::Refused { kind, text: clipped(text) },
            done @ Self::Done { .. } => done,
        };
        serde_json::to_vec(&word).unwrap_or_default()
    }
}

impl Verb {
    /// As the command line calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Start => "start",
            Self::Delete | Self::CleanUp { .. } => "delete",
            Self::Exec { .. } => "exec",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Update { .. } => "update",
            Self::Kill { .. } | Self::EndOthers { .. } => "kill",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_fits_into_a_word() {
        for letter in ["x", "\u{1}", "\"", "\u{20ac}"] {
            let text = format!("begin{}end", letter.repeat(100_000));
            for word in [Word::Stage(text.clone()), Word::Refused { kind: Kind::Other, text }] {
                let bytes = word.encode();
                assert!(bytes.len() <= LONGEST_WORD, "{}", bytes.len());
                let (Word::Stage(text) | Word::Refused { text, .. }) =
                    serde_json::from_slice(&bytes).expect("a word")
                else {
                    panic!("another word")
                };
                assert!(text.starts_with("begin") && text.ends_with("end"), "{text}");
            }
        }
        assert_eq!(clipped("short".to_owned()), "short");
    }
}
