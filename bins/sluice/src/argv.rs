//! Rewrites the spellings that callers of runc use into those of this program's parser.
//!
//! Compat: runc parses with Go's `flag` package, where one dash and two are the same (`-no-subreaper` is really
//! sent by go-runc), and where a switch takes a value after `=` (`--detach=true`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, Command};

/// The arguments of one parser: its options, rewritten, and everything from the first positional argument on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Options with their values.
    pub(crate) options: Vec<OsString>,
    /// The first argument that is no option, and all behind it, untouched.
    pub(crate) rest: Vec<OsString>,
}

/// Splits at the first positional argument and rewrites the options before it for `command`.
pub(crate) fn split(command: &Command, arguments: Vec<OsString>) -> Split {
    let mut options = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return Split { options, rest: arguments.collect() };
        }
        if !is_option(&argument) {
            return Split { options, rest: std::iter::once(argument).chain(arguments).collect() };
        }
        let option = rewrite(command, argument);
        let wants_value = option.wants_value;
        options.extend(option.text);
        if wants_value {
            options.extend(arguments.next());
        }
    }
    Split { options, rest: Vec::new() }
}

/// Rewrites options wherever they stand: positional arguments may come first, as in `delete ID --force`.
pub(crate) fn mixed(command: &Command, arguments: Vec<OsString>) -> Split {
    let mut all = Split { options: Vec::new(), rest: Vec::new() };
    let mut arguments = arguments;
    loop {
        let ended = arguments.first().is_some_and(|first| first == "--");
        let part = split(command, arguments);
        all.options.extend(part.options);
        let mut rest = part.rest.into_iter();
        let Some(positional) = rest.next() else { return all };
        all.rest.push(positional);
        if ended {
            all.rest.extend(rest);
            return all;
        }
        arguments = rest.collect();
    }
}

fn is_option(argument: &OsStr) -> bool {
    argument.len() > 1 && argument.as_bytes()[0] == b'-'
}

/// One option in this program's spelling; no text when a switch was given as false.
struct Rewritten {
    text: Option<OsString>,
    wants_value: bool,
}

fn rewrite(command: &Command, argument: OsString) -> Rewritten {
    let bytes = argument.as_bytes();
    let name_at = if bytes.starts_with(b"--") { 2 } else { 1 };
    let equals = bytes.iter().position(|byte| *byte == b'=');
    let name = &bytes[name_at..equals.unwrap_or(bytes.len())];
    let value = equals.map(|at| &bytes[at + 1..]);
    let Some(known) = find(command, name, name_at) else {
        return Rewritten { text: Some(argument), wants_value: false };
    };
    let takes_value = known.get_action().takes_values();
    if !takes_value && let Some(set) = value.and_then(boolean) {
        return Rewritten { text: set.then(|| spell(name, None)), wants_value: false };
    }
    // A switch with any other value is refused by the parser, which names it best by its long name.
    let name = known.get_long().filter(|_| !takes_value && value.is_some()).map_or(name, str::as_bytes);
    Rewritten { text: Some(spell(name, value)), wants_value: takes_value && value.is_none() }
}

/// A one-letter name is a short option, any other a long one, however many dashes it has.
fn find<'a>(command: &'a Command, name: &[u8], dashes: usize) -> Option<&'a Arg> {
    let name = std::str::from_utf8(name).ok()?;
    let mut letters = name.chars();
    let short = letters.next().filter(|_| dashes == 1 && letters.next().is_none());
    command
        .get_arguments()
        .find(|known| known.get_long() == Some(name) || (short.is_some() && known.get_short() == short))
}

fn spell(name: &[u8], value: Option<&[u8]>) -> OsString {
    let mut text = if name.len() == 1 { b"-".to_vec() } else { b"--".to_vec() };
    text.extend_from_slice(name);
    if let Some(value) = value {
        text.push(b'=');
        text.extend_from_slice(value);
    }
    OsString::from_vec(text)
}

/// Source: Go's `strconv.ParseBool`.
fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn command() -> Command {
        Command::new("t")
            .arg(Arg::new("force").short('f').long("force").action(ArgAction::SetTrue))
            .arg(Arg::new("root").short('r').long("root"))
    }

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn options_end_at_the_first_positional_argument() {
        for (given, options, rest) in [
            ("-force c1 -l", "--force", "c1 -l"),
            ("-root /x c1", "--root /x", "c1"),
            ("--root=/x c1", "--root=/x", "c1"),
            ("-root=/x c1", "--root=/x", "c1"),
            ("-r /x c1", "-r /x", "c1"),
            ("-r --force c1", "-r --force", "c1"),
            ("--force=true --force=false -f=0 c1", "--force", "c1"),
            ("-- -f c1", "", "-f c1"),
            ("- c1", "", "- c1"),
            ("--unknown c1", "--unknown", "c1"),
            ("-x=1 c1", "-x=1", "c1"),
            ("--force=maybe c1", "--force=maybe", "c1"),
        ] {
            let want = Split { options: words(options), rest: words(rest) };
            assert_eq!(split(&command(), words(given)), want, "{given}");
        }
    }

    #[test]
    fn options_may_follow_when_mixed() {
        for (given, options, rest) in
            [("c1 -force", "--force", "c1"), ("-r /x c1 9 -f", "-r /x -f", "c1 9"), ("c1 -- -f", "", "c1 -f")]
        {
            let want = Split { options: words(options), rest: words(rest) };
            assert_eq!(mixed(&command(), words(given)), want, "{given}");
        }
    }
}
