//! The workspace's own tasks; `cargo xtask` alone lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

mod bench;
mod cgroups;
mod child_side;
mod classes;
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
mod text_order;
mod tidy;
mod tree;
mod vm;
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
    (
        "text-order",
        "list the functions of the shim for the linker to lay side by side [--target TRIPLE]",
        text_order::run,
    ),
    ("bench", "what the verbs cost, beside runc and crun [--help]", bench::run),
    ("vm", "tests in a guest with systemd and pure cgroup v2 [--help]", vm::run),
];

/// A task that has no sources around it, and is not for people.
const IN_THE_GUEST: &str = "vm-inside";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((IN_THE_GUEST, rest)) = arguments.split_first().map(|(task, rest)| (task.as_str(), rest)) {
        return answer(IN_THE_GUEST, vm::run_inside(rest));
    }
    let Some(task) = arguments.first().and_then(|name| TASKS.iter().find(|task| task.0 == name)) else {
        return usage();
    };
    let run = |workspace| task.2(&workspace, arguments.get(1..).unwrap_or(&[]));
    answer(task.0, Workspace::find().and_then(run))
}

fn answer(task: &str, result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        eprintln!("xtask {task}: {}", failure::chain(&failure));
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
