//! `cargo xtask demo`: containers and execs in good times and at their limits, side by side with other runtimes.
//!
//! **Invariant:** everything it makes hangs on a guard, so it cleans up after itself when a step fails or when it
//! is interrupted: containers, cgroups, mounts, the folder with the root file system.

mod call;
mod config;
mod lab;
mod runtime;
mod situations;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::workspace::Workspace;

use lab::Lab;
use runtime::Runtime;

/// What the command line asks for.
#[derive(Default)]
struct Wishes {
    /// Our binary.
    sluice: Option<PathBuf>,
    /// Only say what is missing.
    needs: bool,
}

/// Runs the demonstration.
///
/// # Errors
/// When something it needs is missing, a container cannot be set up, or on Ctrl-C.
pub(crate) fn run(_workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let wishes = wishes(arguments)?;
    let terminal = Terminal::of_stdout();
    let missing = lab::missing();
    if !missing.is_empty() {
        println!("The demonstration cannot run here:");
        missing.iter().for_each(|line| println!("  - {line}"));
        return Ok(ExitCode::FAILURE);
    }
    if wishes.needs {
        return Ok(ExitCode::SUCCESS);
    }
    let lab = Lab::new()?;
    let mut runtimes = runtimes(&wishes);
    table::heading(terminal, &runtimes);
    for situation in situations::ALL {
        lab.interrupted()?;
        table::title(terminal, situation.title);
        let mut able = Vec::new();
        for runtime in runtimes {
            let outcome = situations::stage(&lab, &runtime, situation);
            table::row(terminal, &runtime, &outcome);
            lab.interrupted()?;
            // A runtime that cannot even run a container here would say so once more in every row.
            able.extend(outcome.answer.is_ok().then_some(runtime));
        }
        runtimes = able;
    }
    table::legend(terminal);
    Ok(ExitCode::SUCCESS)
}

fn wishes(arguments: &[String]) -> Result<Wishes, Failure> {
    let mut wishes = Wishes::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--needs" => wishes.needs = true,
            "--sluice" => wishes.sluice = rest.next().map(PathBuf::from),
            other => {
                return Err(Failure::Usage(format!(
                    "{other} is no option; there are --needs and --sluice PATH"
                )));
            }
        }
    }
    Ok(wishes)
}

/// Ours first, then what else is installed.
fn runtimes(wishes: &Wishes) -> Vec<Runtime> {
    let ours = wishes.sluice.iter().filter_map(|path| Runtime::at("sluice", path));
    let others = ["runc", "crun"].into_iter().filter_map(Runtime::installed);
    ours.chain(others).collect()
}
