//! From the argument vector to an exit code: the table of verbs, and the way there.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};

use crate::answer::{self, colour};
use crate::argv::{self, Split};
use crate::cmd;
use crate::environment::Environment;
use crate::failure::{self, Failure};
use crate::globals::{self, Globals};
use crate::invocation::Invocation;
use crate::verb::{Order, Reach, Verb};
use crate::{help, logging, protection};

/// Every verb, one line each; the order is that of the help within a group.
pub(crate) const VERBS: &[&Verb] = &[
    &cmd::create::VERB,
    &cmd::start::VERB,
    &cmd::run::VERB,
    &cmd::exec::VERB,
    &cmd::kill::VERB,
    &cmd::delete::VERB,
    &cmd::state::VERB,
    &cmd::list::VERB,
    &cmd::ps::VERB,
    &cmd::events::VERB,
    &cmd::pause::VERB,
    &cmd::resume::VERB,
    &cmd::update::VERB,
    &cmd::checkpoint::VERB,
    &cmd::restore::VERB,
    &cmd::spec::VERB,
    &cmd::features::VERB,
];

/// Runs the command line without the program's name; gives the exit code.
pub(crate) fn run(arguments: Vec<OsString>, environment: &Environment) -> u8 {
    let mut verb = None;
    match dispatch(arguments, environment, &mut verb) {
        Ok(code) => code,
        Err(failure) => {
            logging::fatal(&failure::text(&failure));
            failure::exit_code(verb.map(|verb| verb.name), &failure)
        }
    }
}

/// `named` tells the caller which verb failed.
fn dispatch(
    arguments: Vec<OsString>,
    environment: &Environment,
    named: &mut Option<&'static Verb>,
) -> Result<u8, Failure> {
    let Split { options, rest } = argv::split(&globals::command(), arguments);
    let program_help = || help::of_program(colour(environment));
    let Some(matches) = parsed(globals::command(), options, &program_help)? else { return Ok(0) };
    let globals = Globals::new(&matches, environment)?;
    logging::install(&globals, environment)?;
    if globals.version {
        answer::text(&cmd::version::text())?;
        return Ok(0);
    }
    let mut rest = rest.into_iter();
    let Some(word) = rest.next() else {
        answer::text(&program_help())?;
        return Ok(0);
    };
    if word == "help" {
        return print_help(rest.next(), environment);
    }
    let verb = find(&word)?;
    *named = Some(verb);
    invoke(verb, &globals, rest.collect(), environment)
}

fn invoke(
    verb: &'static Verb,
    globals: &Globals,
    arguments: Vec<OsString>,
    environment: &Environment,
) -> Result<u8, Failure> {
    let command = help::command(verb);
    let Split { options, rest } = match verb.order {
        Order::Mixed => argv::mixed(&command, arguments),
        Order::OptionsFirst => argv::split(&command, arguments),
    };
    let verb_help = || help::of_verb(verb, colour(environment));
    let Some(matches) = parsed(command, options, &verb_help)? else { return Ok(0) };
    if !verb.count.admits(rest.len()) {
        return Err(incorrect_usage(verb.complaint(rest.len()), &verb_help));
    }
    if verb.reach == Reach::Container {
        protection::ensure(&environment.given)?;
    }
    (verb.run)(&Invocation { environment, globals, matches, arguments: rest })
}

/// Parses options; none if they asked for help, which is printed.
fn parsed(
    command: clap::Command,
    options: Vec<OsString>,
    help: &dyn Fn() -> String,
) -> Result<Option<clap::ArgMatches>, Failure> {
    match command.try_get_matches_from(options) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            answer::text(&help())?;
            Ok(None)
        }
        Err(error) => Err(incorrect_usage(complaint(&error), help)),
    }
}

/// Compat: runc prints the help of a command that was used wrongly to standard output.
fn incorrect_usage(message: String, help: &dyn Fn() -> String) -> Failure {
    match answer::text(&format!("Incorrect Usage.\n\n{}", help())) {
        Ok(()) => Failure::Usage(message),
        Err(failure) => failure,
    }
}

/// The parser's complaint on one line: the word that is wrong, and what would be right.
fn complaint(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string);
    match (error.kind(), context(ContextKind::InvalidArg), context(ContextKind::InvalidValue)) {
        (ErrorKind::UnknownArgument, Some(given), _) => {
            let hint = context(ContextKind::SuggestedArg);
            let hint = hint.map_or_else(String::new, |near| format!(": did you mean \"{near}\"?"));
            format!("unknown option \"{given}\"{hint}")
        }
        (ErrorKind::TooManyValues, Some(switch), Some(value)) => {
            format!("invalid {switch} \"{value}\": it is a switch, so only true or false may follow")
        }
        _ => plain_complaint(error),
    }
}

/// The parser's own words, without the usage that it appends.
fn plain_complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nUsage:").next().unwrap_or(text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn print_help(word: Option<OsString>, environment: &Environment) -> Result<u8, Failure> {
    let colour = colour(environment);
    let text = match word {
        Some(word) => help::of_verb(find(&word)?, colour),
        None => help::of_program(colour),
    };
    answer::text(&text)?;
    Ok(0)
}

fn find(word: &OsString) -> Result<&'static Verb, Failure> {
    let given = word.to_string_lossy();
    VERBS.iter().find(|verb| verb.name == given).copied().ok_or_else(|| unknown(&given))
}

fn unknown(given: &str) -> Failure {
    let rank = |name: &'static str| (distance(given, name), !name.starts_with(given), name);
    let hint = match VERBS.iter().map(|verb| rank(verb.name)).min() {
        Some((steps, _, name)) if steps <= 1 + given.len() / 4 => format!(": did you mean \"{name}\"?"),
        _ => String::from(": `sluice --help` lists all"),
    };
    Failure::UnknownVerb { given: given.into(), hint }
}

/// How many letters must be put in, taken out or changed to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for column in 0..to.len() {
            let change = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests;
