//! The command line: flags as Go's `flag` package reads them, then one subcommand.
//!
//! Compat: containerd, `pkg/shim/shim.go`: `-flag value`, `--flag value` and `-flag=value` are the same; a switch takes a
//! value only after `=`; the first word that is no flag ends them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the program is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Serve; the program was started by [`Action::Start`].
    #[default]
    Serve,
    /// Find or start the process that serves, and print its address.
    Start,
    /// Clean up after a process that served and is gone.
    Delete,
    /// Print the counters of a running shim.
    Counters,
    /// Tell containerd what a cleanup could not; started by [`Action::Delete`], never by people.
    Forward,
    /// One operation on a container, asked for by a shim; never by people.
    Verb,
    /// Print what the runtime can do.
    Info,
    /// Print the version.
    Version,
}

/// A parsed command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// containerd's namespace.
    pub namespace: String,
    /// The container, or the sandbox of a pod.
    pub id: String,
    /// containerd's gRPC socket.
    pub address: String,
    /// containerd's binary, by which old shims published events.
    pub publish_binary: String,
    /// The bundle, for [`Action::Delete`].
    pub bundle: PathBuf,
    /// Whether more is logged.
    pub debug: bool,
}

/// A mistake in the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A flag that there is not.
    #[error("flag provided but not defined: -{name}")]
    UnknownFlag {
        /// As it was written, without dashes.
        name: String,
    },
    /// A flag at the end without its value.
    #[error("flag needs an argument: -{name}")]
    NoValue {
        /// The flag.
        name: String,
    },
    /// A subcommand that there is not.
    #[error("unknown command {word:?}: must be start, delete, counters or nothing")]
    UnknownCommand {
        /// As it was written.
        word: String,
    },
    /// An empty flag that has to have a value.
    #[error("-{name} must not be empty")]
    Empty {
        /// The flag.
        name: &'static str,
    },
}

impl Invocation {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// [`Error`] names the word that is wrong.
    pub fn parse(arguments: &[OsString]) -> Result<Self, Error> {
        let mut invocation = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let Some(flag) = flag(word) else {
                invocation.action = command(word)?;
                break;
            };
            if flag.is_empty() {
                let Some(word) = words.next() else { break };
                invocation.action = command(word)?;
                break;
            }
            invocation.take(flag, &mut words)?;
        }
        Ok(invocation)
    }

    fn take<'a>(&mut self, flag: &[u8], words: &mut impl Iterator<Item = &'a OsString>) -> Result<(), Error> {
        let (name, given) = match flag.iter().position(|byte| *byte == b'=') {
            Some(at) => (flag.get(..at).unwrap_or_default(), flag.get(at + 1..)),
            None => (flag, None),
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let on =
            given.is_none_or(|value| !matches!(value, b"false" | b"0" | b"f" | b"F" | b"False" | b"FALSE"));
        let mut value = || match given {
            Some(value) => Ok(OsStr::from_bytes(value)),
            None => {
                words.next().map(OsString::as_os_str).ok_or_else(|| Error::NoValue { name: name.clone() })
            }
        };
        let text = |value: &OsStr| value.to_string_lossy().into_owned();
        match name.as_str() {
            "namespace" => self.namespace = text(value()?),
            "id" => self.id = text(value()?),
            "address" => self.address = text(value()?),
            "publish-binary" => self.publish_binary = text(value()?),
            "bundle" => self.bundle = value()?.into(),
            // Compat: accepted by the stock shim; the socket is always the one that start made.
            "socket" => drop(value()?),
            "debug" => self.debug = on,
            "v" | "version" if on => self.action = Action::Version,
            "info" if on => self.action = Action::Info,
            "v" | "version" | "info" => {}
            _ => return Err(Error::UnknownFlag { name }),
        }
        Ok(())
    }
}

/// A word that begins with one or two dashes, without them.
fn flag(word: &OsStr) -> Option<&[u8]> {
    let bytes = word.as_bytes();
    let rest = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    // Compat: a lone dash is an argument.
    (bytes != b"-").then_some(rest)
}

fn command(word: &OsStr) -> Result<Action, Error> {
    match word.as_bytes() {
        b"start" => Ok(Action::Start),
        b"delete" => Ok(Action::Delete),
        b"counters" => Ok(Action::Counters),
        b"forward" => Ok(Action::Forward),
        b"verb" => Ok(Action::Verb),
        _ => Err(Error::UnknownCommand { word: word.to_string_lossy().into_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Invocation, Error> {
        Invocation::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_containerd_sends_is_understood() {
        let words =
            ["-namespace", "k8s.io", "-address", "/run/c.sock", "-publish-binary", "/bin/c", "-id", "x"];
        let invocation = parse(&[&words[..], &["-debug", "start"]].concat()).expect("valid");
        assert_eq!(invocation.action, Action::Start);
        assert_eq!((invocation.namespace.as_str(), invocation.id.as_str()), ("k8s.io", "x"));
        assert_eq!(invocation.address, "/run/c.sock");
        assert!(invocation.debug);
    }

    #[test]
    fn flags_have_the_spellings_of_go() {
        for words in [&["-id", "x"][..], &["--id", "x"], &["-id=x"], &["--id=x"]] {
            let invocation = parse(words).expect("valid");
            assert_eq!(invocation, Invocation { id: "x".to_owned(), ..Invocation::default() });
        }
        assert!(!parse(&["-debug=false"]).expect("valid").debug);
        assert_eq!(parse(&["-v"]).expect("valid").action, Action::Version);
        assert_eq!(parse(&["-info"]).expect("valid").action, Action::Info);
    }

    #[test]
    fn mistakes_name_the_word() {
        assert_eq!(parse(&["-nope"]), Err(Error::UnknownFlag { name: "nope".to_owned() }));
        assert_eq!(parse(&["-id"]), Err(Error::NoValue { name: "id".to_owned() }));
        assert_eq!(parse(&["stop"]), Err(Error::UnknownCommand { word: "stop".to_owned() }));
    }
}
