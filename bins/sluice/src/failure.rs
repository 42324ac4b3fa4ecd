//! Everything that makes the command line end with another exit code than the container's, and how it reads.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line is wrong; the verb's help is shown with it.
    #[error("{0}")]
    Usage(String),
    /// No such verb.
    #[error("unknown command \"{given}\"{hint}")]
    UnknownVerb {
        /// The word that was given.
        given: String,
        /// `: did you mean "state"?`, or nothing.
        hint: String,
    },
    /// An option has a value that it cannot have.
    #[error("invalid {option} {value:?}: {wanted}")]
    Value {
        /// The option as people write it, without dashes where runc's text has none.
        option: String,
        /// What was given.
        value: String,
        /// What would be right.
        wanted: String,
    },
    /// `--log-format` is something else.
    #[error("invalid log-format: {0}: must be text or json")]
    LogFormat(String),
    /// `--format` is something else.
    #[error("invalid format option {0:?}: must be table or json")]
    Format(String),
    /// `exec` with neither a command nor a process file.
    #[error("exec: the command is empty: name one after the container's id, or use --process")]
    NoCommand,
    /// `--root /`.
    #[error("Option --root argument should not be set to /")]
    RootIsRoot,
    /// `--root` is relative and the working directory is gone.
    #[error("find the working directory, to which --root {0} is relative")]
    WorkingDirectory(PathBuf, #[source] io::Error),
    /// The default state root of a user cannot be made.
    #[error(
        "make the state root {0} below XDG_RUNTIME_DIR, which must be a directory of this user (or give --root DIR)"
    )]
    MakeRoot(PathBuf, #[source] io::Error),
    /// The file of `--log` cannot be opened.
    #[error("open the log {0}")]
    OpenLog(PathBuf, #[source] io::Error),
    /// A file named on the command line cannot be read.
    #[error("read {0}")]
    Read(PathBuf, #[source] io::Error),
    /// A file named on the command line is not what it should be.
    #[error("{}{place}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// JSON pointer into it, with its leading slash; empty when the text is no JSON at all.
        place: String,
        /// What was met, and where in the text.
        reason: String,
    },
    /// Standard output does not take the answer.
    #[error("write the answer to standard output")]
    Answer(#[source] io::Error),
    /// The answer has no JSON form.
    #[error("encode the answer as JSON")]
    Encode(#[source] serde_json::Error),
    /// The host's `ps` cannot be used.
    #[error("run the host's ps {0:?} (ps --format json does without)")]
    RunPs(Vec<String>, #[source] io::Error),
    /// The host's `ps` ended badly; it has said why on standard error.
    #[error("the host's ps {0:?} ended with {1}")]
    PsFailed(Vec<String>, ExitStatus),
    /// The host's `ps` does not end.
    #[error("the host's ps {0:?} did not end within {1} s and was killed (ps --format json does without)")]
    PsStuck(Vec<String>, u64),
    /// The host's `ps` printed no column of process ids.
    #[error("the host's ps {0:?} prints no PID column, so its lines cannot be matched with the container")]
    NoPidColumn(Vec<String>),
    /// A verb that is understood but not built yet.
    #[error("{0}: CRIU is not supported yet")]
    NoCriu(&'static str),
    /// An option that is understood but not built yet.
    #[error("{option}: {why}")]
    Unsupported {
        /// The option.
        option: &'static str,
        /// What is missing.
        why: &'static str,
    },
    /// A user has no state root of their own, and may not use root's.
    #[error("no state root for this user: set XDG_RUNTIME_DIR, or give --root DIR before the command")]
    NoUserRoot(#[source] container::Error),
    /// The runtime refused or could not do it.
    #[error(transparent)]
    Container(#[from] container::Error),
}

/// The exit code for a failure of `verb`.
///
/// Compat: runc: an exec that the runtime could not do ends with 255, everything else, wrong usage too, with 1.
pub(crate) fn exit_code(verb: Option<&str>, failure: &Failure) -> u8 {
    match (verb, failure) {
        (_, Failure::Usage(_)) => 1,
        (Some("exec"), _) => 255,
        _ => 1,
    }
}

/// The failure and its causes on one line, as every log and every caller gets it.
pub(crate) fn text(failure: &Failure) -> String {
    container::chain(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exec_ends_with_255_and_wrong_usage_never_does() {
        let usage = Failure::Usage(String::from("x"));
        for (verb, failure, code) in [
            (Some("exec"), &Failure::RootIsRoot, 255),
            (Some("exec"), &usage, 1),
            (Some("run"), &Failure::RootIsRoot, 1),
            (None, &Failure::RootIsRoot, 1),
        ] {
            assert_eq!(exit_code(verb, failure), code, "{verb:?} {failure:?}");
        }
    }

    #[test]
    fn the_text_holds_every_cause_once() {
        let failure = Failure::Read(PathBuf::from("/x"), io::Error::from_raw_os_error(2));
        assert_eq!(text(&failure), "read /x: not found (ENOENT)");
    }
}
