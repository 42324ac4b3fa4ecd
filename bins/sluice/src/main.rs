//! `sluice`, the runc-compatible command line: parsing, exit codes and log format; no behaviour of its own.
//!
//! **Invariant:** nothing is initialised before the verb is known; standard output carries only the answer.

mod answer;
mod argv;
mod cli;
mod cmd;
mod environment;
mod failure;
mod flag;
mod globals;
mod help;
mod invocation;
mod logging;
mod protection;
mod signal;
mod size;
mod verb;

use std::process::ExitCode;

use environment::Environment;

fn main() -> ExitCode {
    container::own_children();
    let environment = Environment::of_this_process();
    ExitCode::from(cli::run(std::env::args_os().skip(1).collect(), &environment))
}
