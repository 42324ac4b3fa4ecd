//! What can go wrong: the operation with its operands; the cause is the `source`.

use std::path::PathBuf;

use rustix::io::Errno;

/// An operation of this crate that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be opened.
    #[error("open {path}", path = path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// The kernel's answer.
        source: Errno,
    },
    /// A file could not be read.
    #[error("read {path}", path = path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("write {path}", path = path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A saved snapshot is not one, or is damaged.
    #[error("read snapshot {path}: it is none, or is damaged", path = path.display())]
    Snapshot {
        /// Its path.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A saved snapshot is from a newer doctor.
    #[error("snapshot {path} has schema {schema}; this program reads up to {known}", path = path.display())]
    Schema {
        /// Its path.
        path: PathBuf,
        /// Its version.
        schema: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// A saved snapshot is larger than is believed.
    #[error("snapshot {path} is larger than {limit} bytes", path = path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// A saved snapshot unpacks to more than is believed.
    #[error("snapshot {path} unpacks to more than {limit} bytes", path = path.display())]
    UnpacksTooLarge {
        /// Its path.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// The input ended with an error.
    #[error("read the input after {bytes} bytes")]
    Input {
        /// How much was read before.
        bytes: u64,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The failure classes in this build cannot be read.
    #[error("read the failure classes of {area}")]
    Classes {
        /// The file of `classes/`, without its ending.
        area: &'static str,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A log line's pattern in this build is no regular expression.
    #[error("{class}: compile `{pattern}`")]
    Pattern {
        /// The class it belongs to.
        class: String,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex_syntax::Error>,
    },
    /// The words of all patterns do not fit into one automaton.
    #[error("build the search for {literals} words")]
    Search {
        /// How many words there are.
        literals: usize,
        /// Why not.
        source: Box<aho_corasick::BuildError>,
    },
}

impl Error {
    /// The text with all of its causes.
    #[must_use]
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }
}

/// The text of an error with all of its causes, from the outermost in.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
