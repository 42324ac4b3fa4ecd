//! How options are written in the tables of `cmd/`.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction};

/// An option without a value.
pub(crate) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// An option with a value; the last one given counts.
///
/// The value may be empty (as if the option were absent) and may begin with a dash, as in `--memory -1`.
pub(crate) fn value(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .value_parser(OsStringValueParser::new())
        .allow_hyphen_values(true)
        .action(ArgAction::Set)
        .help(help)
}

/// An option with a value that may be given several times; values are not split at commas.
pub(crate) fn repeated(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    value(name, placeholder, help).action(ArgAction::Append)
}
