//! From the argument vector to an exit code: the table of verbs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{answer, cmd, failure};

/// What a caller has to know besides the options.
const AFTER_HELP: &str = "\
Without a command: looks at this node, changes nothing, says what is wrong.

Exit codes:
  0   nothing is broken (notices do not count)
  1   a warning, or something worse that is not confirmed
  2   critical: somebody waits and will wait for ever
  64  the doctor could not do what it was asked to";

/// Finds which joint of a container node is stuck, says why, and heals it.
#[derive(Debug, Parser)]
#[command(name = "sluice-doctor", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    diagnose: cmd::diagnose::Options,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Snapshot(cmd::snapshot::Options),
    Explain(cmd::explain::Options),
    Goroutines(cmd::goroutines::Options),
    Heal(cmd::heal::Options),
    Watch(cmd::watch::Options),
}

/// Parses and carries out; the exit code is that of the verb.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let result = match &cli.verb {
        None => cmd::diagnose::run(&cli.diagnose),
        Some(Verb::Snapshot(options)) => cmd::snapshot::run(options),
        Some(Verb::Explain(options)) => cmd::explain::run(options),
        Some(Verb::Goroutines(options)) => cmd::goroutines::run(options),
        Some(Verb::Heal(options)) => cmd::heal::run(options),
        Some(Verb::Watch(options)) => cmd::watch::run(options),
    };
    result.unwrap_or_else(|failure| {
        answer::complain(&failure.text());
        failure.exit()
    })
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_help_tells_the_exit_codes() {
        let help = <Cli as clap::CommandFactory>::command().render_help().to_string();
        for code in ["  0   ", "  1   ", "  2   ", "  64  "] {
            assert!(help.lines().any(|line| line.starts_with(code)), "{code}: {help}");
        }
        assert!(AFTER_HELP.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn one_look_is_a_look_at_this_machine() {
        for elsewhere in ["--from", "--from-text", "--root"] {
            let error = Cli::try_parse_from(["sluice-doctor", "--at-once", elsewhere, "x"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
        }
    }
}
