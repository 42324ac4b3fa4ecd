//! Exec by library call from one small long-lived process, as a shim does it: `crates/container/examples/exec_again.rs`.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::bench::contestant::Standing;
use crate::bench::fact::Fact;
use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::rhythm;
use crate::bench::sample::{Result as Measured, number};
use crate::bench::trial::{self, Trial};
use crate::failure::Failure;

/// Blocks of library calls, the command lines of the others, and the floor, in turn.
///
/// # Errors
/// When the process cannot be started or a call fails, or on Ctrl-C.
pub(super) fn measure(
    lab: &Lab,
    standing: &[Standing<'_>],
    options: &Options,
    facts: &mut Vec<Fact>,
) -> Result<Vec<Measured>, Failure> {
    let ours = standing.iter().find(|one| one.contestant.name == "sluice");
    let (Some(ours), Some(path)) = (ours, &options.library) else { return Ok(Vec::new()) };
    let mut command = Command::new(path);
    command.arg(lab.state_of("sluice")).args([&ours.id, "/bin/true"]);
    let process = RefCell::new(LongLived::start(command)?);
    let mut trials = trial::execs(lab, standing);
    trials.retain(|trial| trial.name != "sluice");
    let pid = process.borrow().child.id();
    trials.insert(1, Trial::timed("sluice", pid, || process.borrow_mut().exec()));
    let rows = rhythm::back_to_back(lab, "exec by library call", &mut trials, options)?;
    drop(trials);
    let resident = process.borrow_mut().ask("memory")?;
    facts.push(Fact::new(
        "resident memory of the process that execs by library call",
        "sluice",
        resident,
        "KB",
    ));
    Ok(rows)
}

/// The process; dropping it ends it.
struct LongLived {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl LongLived {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failure::Start { program, source })?;
        let answers = child.stdout.take().map(BufReader::new);
        let answers =
            answers.ok_or_else(|| Failure::Usage("no pipe from the library's process".to_owned()))?;
        Ok(Self { child, answers })
    }

    fn exec(&mut self) -> Result<Duration, Failure> {
        Ok(Duration::from_secs_f64(self.ask("1")? / 1e9))
    }

    fn ask(&mut self, request: &str) -> Result<f64, Failure> {
        let failed = |source| Failure::Start { program: "the library's process".to_owned(), source };
        if let Some(input) = &mut self.child.stdin {
            writeln!(input, "{request}").map_err(failed)?;
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(failed)?;
        line.trim().parse::<u64>().map(|value| number(usize::try_from(value).unwrap_or(0))).map_err(|_| {
            let text = format!("{line:?} is no answer to {request}");
            Failure::Ended { program: "exec_again".to_owned(), status: "an unknown status".to_owned(), text }
        })
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
