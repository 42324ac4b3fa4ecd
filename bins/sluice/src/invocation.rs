//! One command as its verb sees it: the options it knows, checked on the way out.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use clap::ArgMatches;
use container::{ContainerId, Store};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::globals::{Globals, StateRoot};

/// A verb's options and arguments with everything around them.
pub(crate) struct Invocation<'a> {
    /// The environment variables.
    pub(crate) environment: &'a Environment,
    /// The options before the verb.
    pub(crate) globals: &'a Globals,
    /// The verb's options.
    pub(crate) matches: ArgMatches,
    /// The positional arguments; their number has been checked.
    pub(crate) arguments: Vec<OsString>,
}

impl Invocation<'_> {
    /// The container that the first positional argument names.
    ///
    /// # Errors
    /// The text is no container id.
    pub(crate) fn id(&self) -> Result<ContainerId, Failure> {
        let text = self.arguments.first().map(|text| text.to_string_lossy()).unwrap_or_default();
        Ok(ContainerId::parse(&text)?)
    }

    /// The state root as it is; one that is missing holds no container.
    ///
    /// # Errors
    /// It cannot be opened, or is something else; a user without one is told how to have one.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        self.told(Store::open(self.globals.state_root()?))
    }

    /// The state root, made when it is missing.
    ///
    /// # Errors
    /// It cannot be made or opened, or is something else; a user without one is told how to have one.
    pub(crate) fn made_store(&self) -> Result<Store, Failure> {
        self.told(Store::make(self.globals.state_root()?))
    }

    fn told(&self, store: Result<Store, container::Error>) -> Result<Store, Failure> {
        store.map_err(|error| match self.globals.root {
            StateRoot::OfSystem(_) => Failure::NoUserRoot(error),
            StateRoot::At(_) | StateRoot::OfUser(_) => Failure::Container(error),
        })
    }

    /// Whether a switch was given.
    pub(crate) fn is(&self, switch: &str) -> bool {
        self.matches.get_flag(switch)
    }

    /// The value of an option; an empty one counts as none.
    pub(crate) fn value(&self, option: &str) -> Option<&OsStr> {
        let value = self.matches.get_one::<OsString>(option)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of an option that is a path.
    pub(crate) fn path(&self, option: &str) -> Option<PathBuf> {
        self.value(option).map(PathBuf::from)
    }

    /// The value of an option that is text.
    ///
    /// # Errors
    /// [`Failure::Value`] if it is not UTF-8.
    pub(crate) fn text(&self, option: &str) -> Result<Option<String>, Failure> {
        self.value(option).map(|value| utf8(option, value)).transpose()
    }

    /// All values of an option that may be given several times.
    ///
    /// # Errors
    /// [`Failure::Value`] if one is not UTF-8.
    pub(crate) fn texts(&self, option: &str) -> Result<Vec<String>, Failure> {
        let values = self.matches.get_many::<OsString>(option).into_iter().flatten();
        values.map(|value| utf8(option, value)).collect()
    }

    /// The value of an option that is a number.
    ///
    /// # Errors
    /// [`Failure::Value`] if it is no number of the type.
    pub(crate) fn number<T: FromStr>(&self, option: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(option)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(option, &text, "must be a whole number from 0"))
    }

    /// Positional argument `index`, which is text.
    ///
    /// # Errors
    /// [`Failure::Value`] if it is not UTF-8.
    pub(crate) fn argument(&self, index: usize) -> Result<Option<String>, Failure> {
        self.arguments.get(index).map(|argument| utf8("argument", argument)).transpose()
    }
}

/// A value that an option cannot have.
pub(crate) fn invalid(option: &str, value: &str, wanted: &str) -> Failure {
    Failure::Value { option: format!("--{option}"), value: value.into(), wanted: wanted.into() }
}

fn utf8(option: &str, value: &OsStr) -> Result<String, Failure> {
    let text = value.to_str().map(String::from);
    text.ok_or_else(|| invalid(option, &value.to_string_lossy(), "not valid UTF-8"))
}
