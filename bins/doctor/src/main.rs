//! `sluice-doctor`: parsing, printing, exit codes; what it prints comes from the library.
//!
//! **Invariant:** printing only; standard output carries only the answer.

mod answer;
mod cli;
mod cmd;
mod failure;
mod findings;
mod letters;
mod quiet;

use std::process::ExitCode;

fn main() -> ExitCode {
    answer::spell_in(letters::Letters::of(|name| std::env::var_os(name)));
    cli::run()
}
