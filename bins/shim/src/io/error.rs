//! What can go wrong with the streams of a process.

use std::path::PathBuf;

use rustix::io::Errno;

/// What can go wrong with the streams of a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text of an address is none.
    #[error("address {text:?} of a stream: {reason}")]
    Address {
        /// As the caller wrote it.
        text: String,
        /// What would be right.
        reason: &'static str,
    },
    /// What is at a path cannot be opened.
    #[error("open {path} for a stream", path = path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// Why.
        source: Errno,
    },
    /// One step of making the child's side was refused.
    #[error("make the streams of a process: {step}")]
    Make {
        /// The step.
        step: &'static str,
        /// Why.
        source: Errno,
    },
    /// A descriptor cannot be watched.
    #[error("watch a stream of a process")]
    Watch(#[source] std::io::Error),
    /// A thread for a file or for a logger's start was refused.
    #[error("start a thread for a stream")]
    Thread(#[source] std::io::Error),
    /// The logger's program did not start.
    #[error("start the logger {program}: {reason}", program = program.display())]
    Logger {
        /// Its path.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// The logger ran, but never said that it is ready.
    #[error("the logger {program} is not ready after {seconds} s: it was killed", program = program.display())]
    LoggerNotReady {
        /// Its path.
        program: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The process has no terminal, or none yet.
    #[error("the process has no terminal")]
    NoTerminal,
    /// The terminal did not take its size.
    #[error("give the terminal its size")]
    Resize(#[source] Errno),
}
