//! What ends the doctor itself without an answer, and its exit code.

use std::process::ExitCode;

/// Exit code when the doctor could not do what it was asked to. Severities are below it.
const NO_ANSWER: u8 = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// Standard output is gone.
    #[error("write the answer")]
    Print(#[source] std::io::Error),
    /// Nobody says where this program lies.
    #[error("find the place of this program")]
    Place(#[source] std::io::Error),
    /// A file that was named cannot be opened.
    #[error("open {}", .path.display())]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The library could not do it.
    #[error(transparent)]
    Diagnose(#[from] diagnose::Error),
    /// A remedy was not carried out.
    #[error(transparent)]
    Heal(#[from] diagnose::heal::Error),
    /// A file could not be read.
    #[error("read {path}", path = path.display())]
    Read {
        /// Its path.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// What was named is larger than such a thing can be.
    #[error("read {path}: more than {limit} bytes", path = path.display())]
    TooLarge {
        /// Its path.
        path: std::path::PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// There is no goroutine dump in any input.
    #[error("no goroutine dump in {inputs}")]
    NoDump {
        /// What was read.
        inputs: String,
    },
    /// There is an answer, but not all that was asked for.
    #[error("{}", .0.iter().map(Failure::text).collect::<Vec<String>>().join("; "))]
    Several(Vec<Failure>),
}

impl Failure {
    /// The text with all of its causes.
    pub(crate) fn text(&self) -> String {
        diagnose::with_causes(self)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(NO_ANSWER)
    }
}

/// Help is an answer; a wrong option is none, and its code must not read as a severity.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _gone = error.print();
    if error.use_stderr() { ExitCode::from(NO_ANSWER) } else { ExitCode::SUCCESS }
}
