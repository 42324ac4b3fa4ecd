//! What can go wrong in an operation, and the one place where it becomes a status on the wire.
//!
//! Compat: containerd acts on the code, and on a few texts: "process already finished" ends a kill in peace.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use ttrpc::Code;

use crate::io;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is no such container.
    #[error("container {id} not found")]
    NoContainer {
        /// Its id.
        id: String,
    },
    /// There is no such exec.
    #[error("process {exec_id} of container {id} not found")]
    NoProcess {
        /// The container.
        id: String,
        /// The exec.
        exec_id: String,
    },
    /// The process has ended.
    #[error("process already finished")]
    Finished,
    /// The id is taken.
    #[error("{what} {id} already exists")]
    Exists {
        /// `container` or `process`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// The state does not allow it.
    #[error("cannot {verb} {what}")]
    State {
        /// What was to be done.
        verb: &'static str,
        /// To what, in which state.
        what: &'static str,
    },
    /// The request is not acceptable.
    #[error("{field}: {reason}")]
    Invalid {
        /// Field of the request.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Nobody does that here.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// No container is taken any more.
    #[error("the shim is shutting down")]
    ShuttingDown,
    /// It takes too long; who holds it up is in the log.
    #[error("{what} has not answered within {} s and is left to itself: {at}", limit.as_secs())]
    Stuck {
        /// The operation.
        what: String,
        /// How long it had.
        limit: Duration,
        /// Where it is.
        at: String,
    },
    /// So many stuck operations that no more is begun.
    #[error("{count} operations are stuck already; see the shim's log")]
    Exhausted {
        /// How many.
        count: usize,
    },
    /// No thread took the work in time.
    #[error("{what} was not begun within {} s: {count} operations are stuck; see the shim's log", limit.as_secs())]
    NotBegun {
        /// The operation.
        what: String,
        /// How long it had.
        limit: Duration,
        /// How many operations are stuck.
        count: usize,
    },
    /// An operation failed, and what it had made is still there.
    #[error("{}; what it had made is not removed: {left}", container::chain(failure))]
    Remains {
        /// Why it failed.
        failure: Box<Failure>,
        /// What is in the way of the removal.
        left: String,
    },
    /// The process that carried out a verb ended without an answer.
    #[error("the process that had to {verb} the container ended without an answer: {how}")]
    VerbDied {
        /// The verb.
        verb: &'static str,
        /// How it ended.
        how: String,
    },
    /// What the library, or a process of ours, says.
    #[error("{prefix}{text}")]
    Told {
        /// Words that callers look for.
        prefix: &'static str,
        /// The kind, decided where the error was made.
        kind: Kind,
        /// The whole chain in one line.
        text: String,
    },
    /// The standard streams.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The options of the runtime.
    #[error(transparent)]
    Options(#[from] crate::options::Error),
    /// A step of the shim itself was refused.
    #[error("{step}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// The cause.
        source: rustix::io::Errno,
    },
    /// A mistake of ours.
    #[error("the operation panicked; the shim's log has more")]
    Panicked,
}

/// What an error means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It is not there.
    NotFound,
    /// It is there already.
    Exists,
    /// Its state does not allow it.
    State,
    /// The request is wrong.
    Invalid,
    /// It took too long.
    Late,
    /// Something else.
    Other,
}

impl Kind {
    /// Of an error of the library.
    #[must_use]
    pub fn of(error: &container::Error) -> Self {
        use container::Error;
        match error {
            Error::NotFound { .. } => Self::NotFound,
            Error::Exists { .. } => Self::Exists,
            Error::InvalidId { .. } | Error::Config(_) | Error::Unsupported { .. } => Self::Invalid,
            Error::CannotStart { .. }
            | Error::CannotExec { .. }
            | Error::NotRunning { .. }
            | Error::NotPaused
            | Error::NotStopped { .. }
            | Error::NoStats { .. } => Self::State,
            Error::Busy { .. } => Self::Late,
            _ => Self::Other,
        }
    }
}

impl Failure {
    /// An error of the library, with its kind.
    #[must_use]
    pub fn of_library(prefix: &'static str, error: &container::Error) -> Self {
        Self::Told { prefix, kind: Kind::of(error), text: container::chain(error) }
    }

    /// The same, and what it had made is still there for this reason, if there is one.
    #[must_use]
    pub fn with_remains(self, left: Option<String>) -> Self {
        match left {
            Some(left) => Self::Remains { failure: Box::new(self), left },
            None => self,
        }
    }

    /// Whether it was not begun for want of threads: later it may be.
    #[must_use]
    pub fn is_want_of_threads(&self) -> bool {
        matches!(self, Self::Exhausted { .. } | Self::NotBegun { .. })
    }

    /// Whether a verb broke off in the middle; one that says why it failed has seen to it that nothing is left.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        matches!(self, Self::Stuck { .. } | Self::VerbDied { .. })
    }

    fn code(&self) -> Code {
        match self {
            Self::Remains { failure, .. } => failure.code(),
            Self::NoContainer { .. } | Self::NoProcess { .. } | Self::Finished => Code::NOT_FOUND,
            Self::Exists { .. } => Code::ALREADY_EXISTS,
            Self::State { .. } => Code::FAILED_PRECONDITION,
            Self::Invalid { .. } | Self::Options(_) => Code::INVALID_ARGUMENT,
            Self::Unsupported { .. } => Code::UNIMPLEMENTED,
            Self::ShuttingDown => Code::UNAVAILABLE,
            Self::Stuck { .. } => Code::DEADLINE_EXCEEDED,
            Self::Exhausted { .. } | Self::NotBegun { .. } => Code::RESOURCE_EXHAUSTED,
            Self::Told { kind, .. } => match kind {
                Kind::NotFound => Code::NOT_FOUND,
                Kind::Exists => Code::ALREADY_EXISTS,
                Kind::State => Code::FAILED_PRECONDITION,
                Kind::Invalid => Code::INVALID_ARGUMENT,
                Kind::Late => Code::DEADLINE_EXCEEDED,
                Kind::Other => Code::UNKNOWN,
            },
            Self::Panicked => Code::INTERNAL,
            _ => Code::UNKNOWN,
        }
    }
}

impl From<Failure> for ttrpc::Error {
    fn from(failure: Failure) -> Self {
        Self::RpcStatus(ttrpc::get_status(failure.code(), container::chain(&failure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_sees_the_code_that_it_acts_on() {
        let cases = [
            (Failure::NoContainer { id: "x".to_owned() }, Code::NOT_FOUND),
            (Failure::Finished, Code::NOT_FOUND),
            (Failure::Exists { what: "process", id: "x".to_owned() }, Code::ALREADY_EXISTS),
            (Failure::State { verb: "exec in", what: "a stopped container" }, Code::FAILED_PRECONDITION),
            (Failure::Unsupported { what: "checkpoint" }, Code::UNIMPLEMENTED),
            (
                Failure::of_library("", &container::Error::NotRunning { id: "x".to_owned() }),
                Code::FAILED_PRECONDITION,
            ),
        ];
        for (failure, code) in cases {
            let text = failure.to_string();
            let ttrpc::Error::RpcStatus(status) = failure.into() else { panic!("{text}: no status") };
            assert_eq!(status.code(), code, "{text}");
            assert_eq!(status.message, text);
        }
    }
}
