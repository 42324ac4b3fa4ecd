//! What can be wrong with a configuration file; every text begins with the place.

use std::path::PathBuf;

use rustix::io::Errno;

/// Why a configuration was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened.
    #[error("open {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Errno,
    },
    /// The file could not be read.
    #[error("read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is a directory, a FIFO, a device or a socket.
    #[error("{path}: not a regular file", path = path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than [`super::MAX_BYTES`].
    #[error("{path}: {bytes} bytes, more than the {limit} that are read", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The bound, in bytes.
        limit: u64,
    },
    /// The text is not JSON.
    #[error("{path}: line {line}, column {column}: {reason}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser met.
        reason: String,
    },
    /// A value has the wrong type.
    #[error("{pointer}: {reason}")]
    Shape {
        /// File name and JSON pointer, for example `config.json/linux/gidMappings/0/size`.
        pointer: String,
        /// What was met and what was expected.
        reason: String,
    },
    /// A value has the right type, but no meaning, or is not supported.
    #[error("{pointer}: {reason}")]
    Invalid {
        /// File name and JSON pointer.
        pointer: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A path in the configuration cannot be opened.
    #[error("{pointer}: open {path}", path = path.display())]
    Reference {
        /// File name and JSON pointer.
        pointer: String,
        /// The path.
        path: PathBuf,
        /// Why.
        source: Errno,
    },
}
