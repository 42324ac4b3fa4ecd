//! How options are written in the tables of `cmd/`.
//!
//! Small rows, because every command makes some: what clap wants to know of an option is twenty times as long, and made
//! only for help and for complaints.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction};

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Its long name, without dashes.
    pub(crate) name: &'static str,
    /// Its short name.
    pub(crate) letter: Option<char>,
    /// What it does with what is given.
    pub(crate) kind: Kind,
    help: &'static str,
    hidden: bool,
}

/// What an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has no value.
    Switch,
    /// It has a value, called so in the help; the last one given counts.
    Value(&'static str),
    /// It has a value, called so in the help, and may be given several times.
    Repeated(&'static str),
    /// It asks for the help.
    Help,
}

/// An option without a value.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, letter: None, kind: Kind::Switch, help, hidden: false }
}

/// An option with a value; the last one given counts.
///
/// The value may be empty (as if the option were absent) and may begin with a dash, as in `--memory -1`.
pub(crate) const fn value(name: &'static str, placeholder: &'static str, help: &'static str) -> Flag {
    Flag { name, letter: None, kind: Kind::Value(placeholder), help, hidden: false }
}

/// An option with a value that may be given several times; values are not split at commas.
pub(crate) const fn repeated(name: &'static str, placeholder: &'static str, help: &'static str) -> Flag {
    Flag { name, letter: None, kind: Kind::Repeated(placeholder), help, hidden: false }
}

impl Flag {
    /// `--help` and `-h`.
    pub(crate) const HELP: Self =
        Self { name: "help", letter: Some('h'), kind: Kind::Help, help: "Print this help", hidden: false };

    /// Gives it a short name.
    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    /// Leaves it out of the help.
    pub(crate) const fn hide(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Whether a value belongs to it.
    pub(crate) const fn takes_value(&self) -> bool {
        matches!(self.kind, Kind::Value(_) | Kind::Repeated(_))
    }

    /// The same for clap.
    pub(crate) fn arg(&self) -> Arg {
        let arg = Arg::new(self.name).long(self.name).help(self.help).hide(self.hidden);
        let arg = self.letter.into_iter().fold(arg, Arg::short);
        let valued = |arg: Arg, placeholder, action| {
            let arg = arg.value_name(placeholder).value_parser(OsStringValueParser::new());
            arg.allow_hyphen_values(true).action(action)
        };
        match self.kind {
            Kind::Switch => arg.action(ArgAction::SetTrue),
            Kind::Help => arg.action(ArgAction::Help),
            Kind::Value(placeholder) => valued(arg, placeholder, ArgAction::Set),
            Kind::Repeated(placeholder) => valued(arg, placeholder, ArgAction::Append),
        }
    }
}
