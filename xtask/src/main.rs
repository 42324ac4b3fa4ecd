//! The workspace's own tasks; `cargo xtask` alone lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

mod bench;
mod cgroups;
mod child_side;
mod demo;
mod documents;
mod errors;
mod failure;
mod findings;
mod flags;
mod hugetlb;
mod kernel_notes;
mod map;
mod terminal;
mod tidy;
mod tree;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use workspace::Workspace;

/// A task: its name, what it is for, what does it.
type Task = (&'static str, &'static str, fn(&Workspace, &[String]) -> Result<ExitCode, Failure>);

const TASKS: &[Task] = &[
    ("tidy", "check the house rules of CONTRIBUTING.md", tidy::run),
    ("docs", "rewrite the generated parts of the documents", documents::run),
    ("errors", "print every error text with its answers", errors::run),
    ("child-side", "check that nothing between clone3 and execve can panic or allocate", child_side::run),
    (
        "demo",
        "containers and execs in good times and at their limits [--sluice PATH] [--root DIR]",
        demo::run,
    ),
    ("bench", "what the verbs cost, beside runc and crun [--help]", bench::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = arguments.first().and_then(|name| TASKS.iter().find(|task| task.0 == name)) else {
        return usage();
    };
    let answer =
        Workspace::find().and_then(|workspace| task.2(&workspace, arguments.get(1..).unwrap_or(&[])));
    answer.unwrap_or_else(|failure| {
        eprintln!("xtask {}: {}", task.0, failure::chain(&failure));
        ExitCode::FAILURE
    })
}

fn usage() -> ExitCode {
    println!("usage: cargo xtask TASK\n");
    for (name, purpose, _) in TASKS {
        println!("  {name:<12} {purpose}");
    }
    ExitCode::from(2)
}
