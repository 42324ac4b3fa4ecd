//! What can go wrong while reading: the operation with its operands; the cause is the `source`.

use std::path::PathBuf;

use rustix::io::Errno;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A look-up, a read or a parse that did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `openat2(2)` or `open(2)` refused.
    #[error("open {}", path.display())]
    Open {
        /// Path as given, relative to the root it was looked up in.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// `read(2)` refused.
    #[error("read {}", path.display())]
    Read {
        /// Path as given.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// `mkdirat(2)` refused.
    #[error("make directory {}", path.display())]
    MakeDirectory {
        /// Path as given.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// `symlinkat(2)` refused.
    #[error("make symbolic link {}", path.display())]
    MakeSymlink {
        /// Path as given.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// Something else than a regular file stands where one is read.
    #[error("read {}: expected a regular file, found a {kind}", path.display())]
    NotRegular {
        /// Path as given.
        path: PathBuf,
        /// `directory`, `fifo`, `character device`, ...
        kind: &'static str,
    },
    /// The file holds more than the reader accepts.
    #[error("read {}: larger than {limit} bytes", path.display())]
    TooLarge {
        /// Path as given.
        path: PathBuf,
        /// Most bytes accepted.
        limit: usize,
    },
    /// The directory is not the root of a procfs.
    #[error("{} is not the root of a procfs", path.display())]
    NotProcfs {
        /// Path as given.
        path: PathBuf,
    },
    /// The path has no last component to create (empty, `/`, or ends in `..`).
    #[error("{} names no entry that could be made", path.display())]
    NoFileName {
        /// Path as given.
        path: PathBuf,
    },
    /// The text is not in the form that proc(5) documents.
    #[error("parse {}: {expected}", path.display())]
    Malformed {
        /// Path as given.
        path: PathBuf,
        /// What should have stood there.
        expected: &'static str,
    },
}

impl Error {
    /// The error number of the kernel, if the kernel refused.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { source, .. }
            | Self::Read { source, .. }
            | Self::MakeDirectory { source, .. }
            | Self::MakeSymlink { source, .. } => Some(*source),
            _ => None,
        }
    }
}
