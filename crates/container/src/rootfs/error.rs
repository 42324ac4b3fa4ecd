//! What can go wrong while the root file system is put together; every text begins with the place in `config.json`.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Where in `config.json` something was asked for, and which path inside the container it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// For example `config.json/mounts/3`.
    pub pointer: String,
    /// For example `/dev/pts`.
    pub path: PathBuf,
}

impl Place {
    pub(super) fn new(pointer: impl Into<String>, path: &Path) -> Self {
        Self { pointer: pointer.into(), path: path.to_owned() }
    }

    pub(super) fn mount(index: usize, destination: &Path) -> Self {
        Self::new(format!("config.json/mounts/{index}"), destination)
    }

    /// An error of this place, for `map_err`.
    pub(super) fn failed(&self, operation: &'static str) -> impl FnOnce(Errno) -> Error {
        let place = self.clone();
        move |source| Error::Step { place, operation, source }
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> Error {
        Error::Refused { place: self.clone(), reason: reason.into() }
    }

    pub(super) fn unreachable_path(&self, source: proc::Error) -> Error {
        Error::Path { place: self.clone(), source }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.path.display())
    }
}

/// Why the root file system could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One kernel call on behalf of one place.
    #[error("{place}: {operation}")]
    Step {
        /// Where it was asked for.
        place: Place,
        /// What was being done, for example `attach the mount`.
        operation: &'static str,
        /// Why it did not work.
        source: Errno,
    },
    /// The source of a bind mount, or a device of the host, cannot be opened.
    #[error("{place}: open the source {path}", path = path.display())]
    Source {
        /// Where it was asked for.
        place: Place,
        /// The path on the host.
        path: PathBuf,
        /// Why it did not work.
        source: Errno,
    },
    /// The source of a bind mount cannot be shown a second time, for example because its mount is unbindable.
    #[error("{place}: copy the mount of the source {path}", path = path.display())]
    CopySource {
        /// Where it was asked for.
        place: Place,
        /// The path on the host.
        path: PathBuf,
        /// Why it did not work.
        source: Errno,
    },
    /// A path inside the root could not be reached or made.
    #[error("{place}")]
    Path {
        /// Where it was asked for.
        place: Place,
        /// What was looked up, and why it did not work.
        source: proc::Error,
    },
    /// The kernel refused a new file system.
    #[error("{place}: mount a file system of type {kind}{log}")]
    FileSystem {
        /// Where it was asked for.
        place: Place,
        /// The type, for example `tmpfs`.
        kind: String,
        /// The kernel's own words, with a leading separator; may be empty.
        log: String,
        /// Why it did not work.
        source: Errno,
    },
    /// What is asked for would be unsafe, or has no meaning.
    #[error("{place}: {reason}")]
    Refused {
        /// Where it was asked for.
        place: Place,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The host's `/proc` could not be read.
    #[error("read the host's /proc")]
    HostProc(#[from] proc::Error),
}

impl Error {
    /// The kernel's errno, if a kernel call failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Step { source, .. }
            | Self::Source { source, .. }
            | Self::CopySource { source, .. }
            | Self::FileSystem { source, .. } => Some(*source),
            Self::Path { source, .. } | Self::HostProc(source) => source.errno(),
            Self::Refused { .. } => None,
        }
    }
}
