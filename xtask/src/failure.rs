//! What stops a task. A broken house rule is not a failure but a finding, see `findings`.

use std::path::PathBuf;

/// Why a task could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// A file or directory could not be read or written.
    #[error("{operation} {}", path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    /// A program could not be started.
    #[error("start {program}")]
    Start { program: String, source: std::io::Error },
    /// A program ended with another status than 0.
    #[error("{program} ended with {status}: {text}")]
    Ended { program: String, status: String, text: String },
    /// A Rust file is not Rust.
    #[error("parse {path}")]
    Rust { path: String, source: syn::Error },
    /// A program's JSON answer is not what it should be.
    #[error("read the answer of {program}")]
    Answer { program: &'static str, source: serde_json::Error },
    /// An object file could not be understood.
    #[error("read object file {path}")]
    Object { path: String, source: object::Error },
    /// The task's own arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Ctrl-C or a termination signal.
    #[error("interrupted")]
    Interrupted,
}

/// Gives a failure with all its causes in one line.
pub(crate) fn chain(failure: &dyn std::error::Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
