//! The options that were given.
//!
//! **Invariant:** [`Options::read`] takes only lines that clap would take, and takes from them what clap would take; it
//! leaves everything else to clap, whose words a user reads when something is wrong.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::ArgMatches;

use crate::flag::{Flag, Kind};

/// The options of one parser with their values, in the order in which they were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    given: Vec<(&'static str, OsString)>,
}

impl Options {
    /// Reads options in the spelling that [`crate::argv`] gives them; none if they are not plainly right.
    pub(crate) fn read(flags: &[Flag], words: &[OsString]) -> Option<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (flag, value) = known(flags, word)?;
            let value = match (flag.kind, value) {
                (Kind::Switch, None) => OsString::new(),
                (Kind::Value(_) | Kind::Repeated(_), Some(value)) => value.to_owned(),
                // Two dashes alone are the end of the options, for clap at least.
                (Kind::Value(_) | Kind::Repeated(_), None) => {
                    words.next().filter(|value| *value != "--")?.clone()
                }
                (Kind::Switch, Some(_)) | (Kind::Help, _) => return None,
            };
            options.given.push((flag.name, value));
        }
        Some(options)
    }

    /// What clap has read of the same options.
    pub(crate) fn of_clap(flags: &[Flag], matches: &ArgMatches) -> Self {
        let of = |flag: &Flag| -> Vec<(&'static str, OsString)> {
            match flag.kind {
                Kind::Help => Vec::new(),
                Kind::Switch => {
                    matches.get_flag(flag.name).then(|| (flag.name, OsString::new())).into_iter().collect()
                }
                Kind::Value(_) | Kind::Repeated(_) => {
                    let values = matches.get_many::<OsString>(flag.name).into_iter().flatten();
                    values.map(|value| (flag.name, value.clone())).collect()
                }
            }
        };
        Self { given: flags.iter().flat_map(of).collect() }
    }

    /// Whether an option was given.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The value of an option, which counts as the last one given; an empty one counts as none.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        self.values(name).last().filter(|value| !value.is_empty())
    }

    /// All values of an option.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_os_str())
    }
}

/// The option that a word names with all its letters, and the value after `=`.
fn known<'a>(flags: &'a [Flag], word: &'a OsStr) -> Option<(&'a Flag, Option<&'a OsStr>)> {
    let word = word.as_bytes();
    let equals = word.iter().position(|byte| *byte == b'=');
    let (name, value) = (&word[..equals.unwrap_or(word.len())], equals.map(|at| &word[at + 1..]));
    let is_named = |flag: &&Flag| match name {
        [b'-', letter] if *letter != b'-' => flag.letter == Some(char::from(*letter)),
        name => name.strip_prefix(b"--") == Some(flag.name.as_bytes()),
    };
    Some((flags.iter().find(is_named)?, value.map(OsStr::from_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag::{repeated, switch, value};

    fn flags() -> Vec<Flag> {
        vec![
            switch("force", "").short('f'),
            value("root", "DIR", "").short('r'),
            repeated("env", "NAME=VALUE", "").short('e'),
            Flag::HELP,
        ]
    }

    fn command() -> clap::Command {
        let command = clap::Command::new("t").no_binary_name(true).disable_help_flag(true);
        command.args_override_self(true).args(flags().iter().map(Flag::arg))
    }

    /// Every line of up to three of these words.
    fn lines() -> Vec<Vec<OsString>> {
        const WORDS: [&str; 18] = [
            "",
            "-",
            "--",
            "---",
            "-f",
            "--force",
            "--force=",
            "--force=x",
            "-fr",
            "-r",
            "-r=/x",
            "--root",
            "--root=/x",
            "--root=",
            "--roo",
            "-e=A=1",
            "--env=A=1,B",
            "--help",
        ];
        let mut lines: Vec<Vec<OsString>> = vec![Vec::new()];
        for _ in 0..3 {
            let longer = lines.iter().flat_map(|line| {
                WORDS.map(|word| line.iter().cloned().chain([OsString::from(word)]).collect())
            });
            lines = [Vec::new()].into_iter().chain(longer.collect::<Vec<_>>()).collect();
        }
        lines
    }

    #[test]
    fn what_is_read_is_what_clap_reads() {
        let mut read = 0;
        for line in lines() {
            let Some(options) = Options::read(&flags(), &line) else { continue };
            read += 1;
            let matches = command().try_get_matches_from(&line);
            let matches = matches.unwrap_or_else(|error| panic!("{line:?} is refused by clap: {error}"));
            let clap = Options::of_clap(&flags(), &matches);
            assert_eq!(options.is_given("force"), clap.is_given("force"), "{line:?}");
            assert_eq!(options.value("root"), clap.value("root"), "{line:?}");
            assert_eq!(
                options.values("env").collect::<Vec<_>>(),
                clap.values("env").collect::<Vec<_>>(),
                "{line:?}"
            );
        }
        assert!(read > 500, "{read} lines were read");
    }

    #[test]
    fn a_plain_line_is_read_without_clap() {
        for line in ["", "--force", "-f -f", "--root /x", "-r -1", "--root=", "-e A=1 --env=B=2 --root /y"] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert!(Options::read(&flags(), &words).is_some(), "{line}");
        }
    }
}
